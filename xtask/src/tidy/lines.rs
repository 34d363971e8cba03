//! Splits Rust source into code and comments, line by line.

/// One source line. The text of string and character literals is masked by underscores.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Line {
    pub(super) code: String,
    pub(super) comment: String,
}

/// What the next character belongs to.
#[derive(Clone, Copy)]
enum State {
    Code,
    LineComment,
    BlockComment { depth: u32 },
    Text { quote: char },
    RawText { hashes: usize },
}

pub(super) fn split(source: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut line = Line::default();
    let mut state = State::Code;
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        if c == '\n' {
            if matches!(state, State::LineComment) {
                state = State::Code;
            }
            lines.push(finish(line));
            line = Line::default();
            rest = &rest[1..];
            continue;
        }
        let taken = match state {
            State::Code => code(rest, &mut line, &mut state),
            State::LineComment => comment(rest, &mut line, c.len_utf8()),
            State::BlockComment { depth } => block_comment(rest, depth, &mut line, &mut state),
            State::Text { quote } => text(rest, quote, &mut line, &mut state),
            State::RawText { hashes } => raw_text(rest, hashes, &mut line, &mut state),
        };
        rest = &rest[taken..];
    }
    lines.push(finish(line));
    lines
}

fn finish(mut line: Line) -> Line {
    line.code.truncate(line.code.trim_end().len());
    line
}

/// Takes one token's start from code; returns how many bytes it took.
fn code(rest: &str, line: &mut Line, state: &mut State) -> usize {
    let mut chars = rest.chars();
    let first = chars.next().unwrap_or_default();
    if rest.starts_with("//") {
        *state = State::LineComment;
        return comment(rest, line, 2);
    }
    if rest.starts_with("/*") {
        *state = State::BlockComment { depth: 1 };
        return comment(rest, line, 2);
    }
    if first == '"' {
        let prefix = line.code.trim_end_matches('#');
        let hashes = line.code.len() - prefix.len();
        let is_raw = prefix.ends_with('r');
        *state = if is_raw { State::RawText { hashes } } else { State::Text { quote: '"' } };
    }
    // `'a'` and `'\n'` are characters, `'a` is a lifetime.
    if first == '\'' && matches!((chars.next(), chars.next()), (Some('\\'), _) | (_, Some('\''))) {
        *state = State::Text { quote: '\'' };
    }
    line.code.push(first);
    first.len_utf8()
}

fn comment(rest: &str, line: &mut Line, bytes: usize) -> usize {
    line.comment.push_str(&rest[..bytes]);
    bytes
}

fn block_comment(rest: &str, depth: u32, line: &mut Line, state: &mut State) -> usize {
    if rest.starts_with("/*") {
        *state = State::BlockComment { depth: depth + 1 };
        return comment(rest, line, 2);
    }
    if rest.starts_with("*/") {
        *state = if depth == 1 { State::Code } else { State::BlockComment { depth: depth - 1 } };
        return comment(rest, line, 2);
    }
    let bytes = rest.chars().next().map_or(0, char::len_utf8);
    comment(rest, line, bytes)
}

fn text(rest: &str, quote: char, line: &mut Line, state: &mut State) -> usize {
    let mut chars = rest.chars();
    let first = chars.next().unwrap_or_default();
    if first == quote {
        *state = State::Code;
        line.code.push(quote);
        return 1;
    }
    line.code.push('_');
    // An escaped character cannot end the text; an escaped line end stays for the caller.
    let escaped = chars.next().filter(|&c| first == '\\' && c != '\n');
    first.len_utf8() + escaped.map_or(0, char::len_utf8)
}

fn raw_text(rest: &str, hashes: usize, line: &mut Line, state: &mut State) -> usize {
    let first = rest.chars().next().unwrap_or_default();
    if first == '"' && rest[1..].bytes().take_while(|&b| b == b'#').count() >= hashes {
        *state = State::Code;
        line.code.push_str(&rest[..=hashes]);
        return 1 + hashes;
    }
    line.code.push('_');
    first.len_utf8()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_of(source: &str) -> Vec<String> {
        split(source).into_iter().map(|line| line.code).collect()
    }

    #[test]
    fn comments_are_no_code() {
        let lines = split("let x = 1; // one\n/* a /* b */ c */ y\n/* d\ne */ z");
        let expected =
            [("let x = 1;", "// one"), (" y", "/* a /* b */ c */"), ("", "/* d"), (" z", "e */")];
        let actual: Vec<_> = lines.iter().map(|l| (l.code.as_str(), l.comment.as_str())).collect();
        assert_eq!(actual, expected);
    }

    #[test]
    fn text_is_masked() {
        assert_eq!(code_of(r#"f("// \" b", 'x', '\'', '"')"#), [r#"f("______", '_', '_', '_')"#]);
        assert_eq!(code_of("r#\"a \" // b\"# c"), ["r#\"________\"# c"]);
        assert_eq!(code_of("\"a\nb\" c"), ["\"_", "_\" c"]);
        assert_eq!(code_of("\"a\\\nb\" c"), ["\"__", "_\" c"]);
    }

    #[test]
    fn lifetime_is_no_text() {
        assert_eq!(code_of("fn f<'a>(x: &'a str) {} // c"), ["fn f<'a>(x: &'a str) {}"]);
        assert_eq!(code_of("loop { break 'outer; }"), ["loop { break 'outer; }"]);
    }
}
