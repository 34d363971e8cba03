//! What the tests of huge pages share.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its file system has failed")]

use crate::common::Lab;
use std::process::Command;

/// What the kernel says that huge pages map of the shared memory of this process.
pub(crate) fn huge_bytes() -> u64 {
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let rows = smaps.lines().filter_map(|row| row.strip_prefix("ShmemPmdMapped:"));
    rows.map(|row| row.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024).sum()
}

/// How often the kernel had no huge page for a file.
pub(crate) fn refusals() -> u64 {
    let counts = std::fs::read_to_string("/proc/vmstat").unwrap();
    let rows = counts.lines().filter_map(|row| row.strip_prefix("thp_file_fallback "));
    rows.map(|row| row.parse::<u64>().unwrap()).sum()
}

/// A command that runs another with the directory of names on a file system of its own, made with these
/// options; `None` where this user may not do that.
pub(crate) fn on_file_system(options: &str) -> Option<Vec<String>> {
    let mount = format!(
        "mkdir -p \"$CROSSDOCK_DIR\" && mount -t tmpfs -o {options} tmpfs \"$CROSSDOCK_DIR\" && \
         chmod 700 \"$CROSSDOCK_DIR\" && exec \"$@\""
    );
    ["--mount", "--user --map-root-user --mount"].into_iter().find_map(|how| {
        let mut command: Vec<String> =
            format!("unshare {how}").split_whitespace().map(str::to_owned).collect();
        command.extend(["sh", "-c", &mount, "sh"].map(str::to_owned));
        let lab = Lab::new();
        let mut trial = Command::new(&command[0]);
        trial.args(&command[1..]).arg("true").env("CROSSDOCK_DIR", lab.dir());
        trial.output().is_ok_and(|output| output.status.success()).then_some(command)
    })
}
