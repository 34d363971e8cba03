//! A small file system for the processes of one test.

use super::skip;
use std::process::Command;

/// The commands that start a program with a file system of its own for its directory of names, of 64 MiB, and that start
/// another one with the same. `None`, and a line that says why, where this user may not do that.
pub(crate) fn small_space() -> Option<(Vec<String>, &'static str)> {
    let script = "mkdir -m 700 \"$CROSSDOCK_DIR\" \
                  && mount -t tmpfs -o size=64m,mode=700 tmpfs \"$CROSSDOCK_DIR\" && exec \"$0\" \"$@\"";
    let mut why = String::new();
    for (options, enter) in [
        (&["-m"][..], "nsenter -m -t"),
        (&["-U", "-r", "-m"], "nsenter --preserve-credentials -U -m -t"),
    ] {
        let mut trial = Command::new("unshare");
        trial.args(options).args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"]);
        match trial.output() {
            Ok(output) if output.status.success() => {
                let words = [&["unshare"], options, &["sh", "-c", script]].concat();
                return Some((words.into_iter().map(str::to_owned).collect(), enter));
            }
            Ok(output) => why = String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => why = format!("cannot start unshare: {error}"),
        }
    }
    skip(&format!("no new mount namespace here: {why}"));
    None
}
