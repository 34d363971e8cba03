use super::*;

/// The rules that `text` breaks at `path`, as `line: message`.
fn broken(path: &str, text: &str) -> Vec<String> {
    let violations = check(path, text);
    violations.into_iter().map(|v| format!("{}: {}", v.line, v.message)).collect()
}

#[test]
fn clean_source_breaks_no_rule() {
    let text = "//! A crate.\n\npub fn f() -> &'static str {\n    \"TODO dbg! target_os\"\n}\n";
    assert_eq!(broken("crates/crossdock/src/lib.rs", text), [""; 0]);
}

#[test]
fn source_is_ascii() {
    let text = "// plain\n// na\u{ef}ve\n";
    assert_eq!(broken("a.rs", text), ["2: U+00EF: Rust sources are ASCII"]);
}

#[test]
fn crate_root_starts_with_documentation() {
    let expected = ["1: a crate starts with its documentation (`//!`)"];
    assert_eq!(broken("crates/crossdock/src/lib.rs", "mod block;\n"), expected);
    assert_eq!(broken("crates/crossdock/src/block.rs", "mod block;\n"), [""; 0]);
}

#[test]
fn only_code_outside_the_test_module_counts() {
    let tests = "#[cfg(test)]\nmod tests {\n    fn f() {}\n}\n";
    let longest = "// why\nfn f() {}\n\n".repeat(CODE_LINES_MAX);
    assert_eq!(broken("a.rs", &format!("{longest}{tests}")), [""; 0]);

    let too_long = format!("{longest}fn g() {{}}\n{tests}");
    assert_eq!(
        broken("a.rs", &too_long),
        ["1201: 401 code lines, at most 400: the file holds two ideas"]
    );
    let code_below = format!("{longest}{tests}fn g() {{}}\n");
    assert_eq!(broken("a.rs", &code_below).len(), 1);
    let not_a_test = format!("{longest}mod tests {{\n}}\n");
    assert_eq!(broken("a.rs", &not_a_test).len(), 1);
}

#[test]
fn test_module_may_have_more_attributes() {
    let text =
        "fn f() {}\n#[cfg(all(test, not(loom)))]\n#[expect(\n    dead_code\n)]\nmod tests {\n}\n";
    assert_eq!(test_module(&lines::split(text)), 1..7);
}

#[test]
fn notes_and_unfinished_macros_are_found() {
    let text = "// TODO: finish\nlet x = dbg!(1);\ntodo!()\nlet todo = \"FIXME\"; // 0xXXXX\n";
    assert_eq!(
        broken("a.rs", text),
        [
            "1: TODO: open an issue instead",
            "2: `dbg!` in finished code",
            "3: `todo!` in finished code",
        ]
    );
    assert_eq!(broken("a.toml", "# XXX\n"), ["1: XXX: open an issue instead"]);
    assert_eq!(broken("a.md", "TODO\n"), [""; 0]);
}

#[test]
fn platform_code_lies_in_the_lowest_crate() {
    let text = "//! Sys.\n#[cfg(any(target_os = \"linux\"))]\nfn f() {}\n";
    let expected = ["2: only crossdock-sys may depend on the operating system"];
    assert_eq!(broken("crates/crossdock-core/src/wait.rs", text), expected);
    assert_eq!(broken("crates/crossdock-sys/src/wait.rs", text), [""; 0]);
}

#[test]
fn test_sleeps_only_under_a_comment_that_says_what_it_bounds() {
    let sleep = "fn f() {\n    thread::sleep(TICK);\n}\n";
    assert_eq!(broken("crates/crossdock/src/block.rs", sleep), [""; 0]);
    assert_eq!(broken("crates/crossdock/tests/block.rs", sleep).len(), 1);
    assert_eq!(broken("crates/crossdock/src/block/tests.rs", sleep).len(), 1);

    let inline = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", sleep.replace("\n}", "\n    }"));
    assert_eq!(broken("crates/crossdock/src/block.rs", &inline).len(), 1);

    let bounded =
        sleep.replace("thread", "// Only bounds how long\n    // the loop runs.\n    thread");
    assert_eq!(broken("crates/crossdock/tests/block.rs", &bounded), [""; 0]);
}
