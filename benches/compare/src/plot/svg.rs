//! As much SVG as a chart needs: elements with attributes, groups and text.

use std::fmt::Display;

/// A drawing in the making.
#[derive(Debug, Default)]
pub(crate) struct Svg {
    text: String,
    /// Elements that are not closed yet.
    open: Vec<&'static str>,
}

/// An attribute and its value.
pub(crate) type Attribute<'a> = (&'a str, &'a dyn Display);

impl Svg {
    /// Begins an element that has others in it.
    pub(crate) fn open(&mut self, name: &'static str, attributes: &[Attribute<'_>]) {
        self.start(name, attributes, ">\n");
        self.open.push(name);
    }

    /// Ends the element that was begun last.
    pub(crate) fn close(&mut self) {
        if let Some(name) = self.open.pop() {
            self.indent();
            self.text.push_str(&format!("</{name}>\n"));
        }
    }

    /// An element with nothing in it.
    pub(crate) fn leaf(&mut self, name: &str, attributes: &[Attribute<'_>]) {
        self.start(name, attributes, "/>\n");
    }

    /// An element with text in it.
    pub(crate) fn text(&mut self, name: &str, attributes: &[Attribute<'_>], text: &str) {
        self.start(name, attributes, ">");
        self.text.push_str(&escape(text));
        self.text.push_str(&format!("</{name}>\n"));
    }

    /// Ends every element.
    pub(crate) fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.text
    }

    fn start(&mut self, name: &str, attributes: &[Attribute<'_>], end: &str) {
        self.indent();
        self.text.push_str(&format!("<{name}"));
        for (name, value) in attributes {
            self.text.push_str(&format!(" {name}=\"{}\"", escape(&value.to_string())));
        }
        self.text.push_str(end);
    }

    fn indent(&mut self) {
        self.text.push_str(&"  ".repeat(self.open.len()));
    }
}

/// Text as it may stand between tags and in attributes.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_is_closed_and_text_is_escaped() {
        let mut svg = Svg::default();
        svg.open("g", &[("class", &"a \"b\"")]);
        svg.leaf("line", &[("x1", &0.5), ("x2", &7)]);
        svg.text("text", &[], "Vec<f64> & more");
        let expected = "<g class=\"a &quot;b&quot;\">\n  <line x1=\"0.5\" x2=\"7\"/>\n  \
                        <text>Vec&lt;f64&gt; &amp; more</text>\n</g>\n";
        assert_eq!(svg.finish(), expected);
    }
}
