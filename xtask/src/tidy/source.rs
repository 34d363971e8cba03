//! The rules for one file.

use super::Violation;
use super::lines::{self, Line};
use std::ops::Range;

/// Code lines of a Rust file: not blank, not comment, not in its `mod tests`.
const CODE_LINES_MAX: usize = 400;

/// Notes to oneself; they belong in an issue.
const WORDS: [&str; 3] = ["TODO", "FIXME", "XXX"];

/// Macros that no finished code contains.
const MACROS: [&str; 3] = ["todo!", "unimplemented!", "dbg!"];

/// The suffixes of files that are neither Rust nor prose.
const OTHER_SUFFIXES: [&str; 5] = [".py", ".sh", ".toml", ".yaml", ".yml"];

pub(super) fn check(path: &str, text: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    if path.ends_with(".rs") {
        let lines = lines::split(text);
        let tests = test_module(&lines);
        ascii(path, text, &mut violations);
        crate_docs(path, text, &mut violations);
        length(path, &lines, &tests, &mut violations);
        words(path, &lines, &mut violations);
        platform(path, &lines, &mut violations);
        sleeps(path, &lines, &tests, &mut violations);
    } else if OTHER_SUFFIXES.iter().any(|suffix| path.ends_with(suffix)) {
        for (number, line) in (1..).zip(text.lines()) {
            notes(path, number, line, &mut violations);
        }
    }
    violations
}

fn ascii(path: &str, text: &str, violations: &mut Vec<Violation>) {
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(c) = line.chars().find(|c| !c.is_ascii()) {
            let message = format!("U+{:04X}: Rust sources are ASCII", u32::from(c));
            violations.push(Violation::new(path, number, message));
        }
    }
}

fn crate_docs(path: &str, text: &str, violations: &mut Vec<Violation>) {
    let parts: Vec<_> = path.split('/').collect();
    let is_crate_root = matches!(parts[..], ["crates", _, "src", "lib.rs" | "main.rs"]);
    if is_crate_root && !text.starts_with("//!") {
        violations.push(Violation::new(path, 1, "a crate starts with its documentation (`//!`)"));
    }
}

fn length(path: &str, lines: &[Line], tests: &Range<usize>, violations: &mut Vec<Violation>) {
    let counts = |&index: &usize| !tests.contains(&index) && !lines[index].code.trim().is_empty();
    let code: Vec<_> = (0..lines.len()).filter(counts).collect();
    if code.len() > CODE_LINES_MAX {
        let count = code.len();
        let message =
            format!("{count} code lines, at most {CODE_LINES_MAX}: the file holds two ideas");
        violations.push(Violation::new(path, code[CODE_LINES_MAX] + 1, message));
    }
}

fn words(path: &str, lines: &[Line], violations: &mut Vec<Violation>) {
    for (number, line) in (1..).zip(lines) {
        notes(path, number, &line.code, violations);
        notes(path, number, &line.comment, violations);
        for name in MACROS.into_iter().filter(|name| has_word(&line.code, name)) {
            violations.push(Violation::new(path, number, format!("`{name}` in finished code")));
        }
    }
}

fn notes(path: &str, number: usize, text: &str, violations: &mut Vec<Violation>) {
    for word in WORDS.into_iter().filter(|word| has_word(text, word)) {
        let message = format!("{word}: open an issue instead");
        violations.push(Violation::new(path, number, message));
    }
}

fn platform(path: &str, lines: &[Line], violations: &mut Vec<Violation>) {
    if path.starts_with("crates/crossdock-sys/") {
        return;
    }
    for (number, line) in (1..).zip(lines) {
        if has_word(&line.code, "target_os") {
            let message = "only crossdock-sys may depend on the operating system";
            violations.push(Violation::new(path, number, message));
        }
    }
}

fn sleeps(path: &str, lines: &[Line], tests: &Range<usize>, violations: &mut Vec<Violation>) {
    let is_test_file = path.split('/').any(|part| part == "tests" || part == "tests.rs");
    for (index, line) in lines.iter().enumerate() {
        let is_test = is_test_file || tests.contains(&index);
        if is_test && has_word(&line.code, "thread::sleep") && !is_bounded(&lines[..index]) {
            let message = "a test never sleeps to synchronise; if the sleep only bounds something, \
                           the comment above says what it bounds";
            violations.push(Violation::new(path, index + 1, message));
        }
    }
}

/// Whether the comment that ends `lines` has the word "bounds".
fn is_bounded(lines: &[Line]) -> bool {
    let is_comment = |line: &&Line| line.code.is_empty() && !line.comment.is_empty();
    lines
        .iter()
        .rev()
        .map_while(|line| Some(line).filter(is_comment))
        .any(|line| has_word(&line.comment, "bounds"))
}

/// The lines of the file's own `#[cfg(test)] mod tests { ... }`; empty if it has none.
fn test_module(lines: &[Line]) -> Range<usize> {
    let Some(module) = lines.iter().rposition(|line| line.code.starts_with("mod tests {")) else {
        return 0..0;
    };
    let is_attribute = |line: &&Line| {
        !line.code.is_empty() && !line.code.ends_with('}') && !line.code.ends_with(';')
    };
    let attributes = lines[..module].iter().rev().take_while(is_attribute).count();
    let start = module - attributes;
    let is_test = |line: &Line| line.code.starts_with("#[cfg(") && has_word(&line.code, "test");
    if !lines[start..module].iter().any(is_test) {
        return 0..0;
    }
    let end = lines[module..].iter().position(|line| line.code == "}");
    start..end.map_or(lines.len(), |end| module + end + 1)
}

/// Whether `text` contains `word` and not as a part of a longer one.
fn has_word(text: &str, word: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(start, _)| {
        !text[..start].ends_with(is_word) && !text[start + word.len()..].starts_with(is_word)
    })
}

#[cfg(test)]
mod tests;
