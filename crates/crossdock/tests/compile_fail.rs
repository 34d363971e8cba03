//! What must not compile, and what the compiler says then.

#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

use std::process::Command;

/// The compiler whose words are in the `.stderr` files; another one finds others.
const COMPILER: &str = "rustc 1.95.";

#[test]
fn what_cannot_be_shared_does_not_compile_and_the_message_helps() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().unwrap().stdout;
    let version = String::from_utf8(version).unwrap();
    if version.starts_with(COMPILER) {
        trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
    } else {
        println!("the messages of {COMPILER} are not compared with those of {version}");
    }
}
