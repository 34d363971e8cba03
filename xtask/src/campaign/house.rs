//! The directories of one campaign, and the proof that nothing of it stays.

use super::board::Board;
use super::{Violation, ensure};
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A directory in shared memory: `names` for the library, `side` for the campaign's own notes.
#[derive(Debug)]
pub(crate) struct House {
    root: PathBuf,
}

impl House {
    /// Makes the directories of `campaign`.
    pub(crate) fn new(campaign: &str) -> io::Result<Self> {
        let root = format!("/dev/shm/xtask-{campaign}-{}", std::process::id());
        let house = Self { root: PathBuf::from(root) };
        fs::DirBuilder::new().mode(0o700).create(&house.root)?;
        fs::create_dir(house.side())?;
        Ok(house)
    }

    /// What the library calls the directory of names.
    pub(crate) fn names(&self) -> PathBuf {
        self.root.join("names")
    }

    /// Where the board and the notes are.
    pub(crate) fn side(&self) -> PathBuf {
        self.root.join("side")
    }

    /// This program in a role, with this house's directory of names.
    pub(crate) fn role(&self, args: &[String]) -> Command {
        let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/proc/self/exe"));
        let mut command = Command::new(program);
        command.arg("role").args(args);
        command.env("CROSSDOCK_DIR", self.names());
        command.stdin(Stdio::null());
        command
    }

    /// Starts this program in a role.
    pub(crate) fn spawn(&self, args: &[String]) -> io::Result<Child> {
        self.role(args).spawn()
    }

    /// Cleans up as a user would, and proves that no process, no name and no byte is left.
    pub(crate) fn prove_empty(&self) -> Result<String, Violation> {
        let swept = self.role(&["gc".to_owned()]).output()?;
        let swept_text = String::from_utf8_lossy(&swept.stdout).trim().to_owned();
        ensure(swept.status.success(), || {
            let why = String::from_utf8_lossy(&swept.stderr).into_owned();
            format!("gc failed: {} {swept_text} {why}", swept.status)
        })?;
        let users = self.users();
        ensure(users.is_empty(), || format!("processes left: {users:?}"))?;
        let left = contents(&self.names());
        ensure(left.is_empty(), || format!("left in the directory of names: {left:?}"))?;
        ensure(!self.names().exists(), || "the directory of names is left, empty".to_owned())?;
        Ok(format!("left: 0 processes, 0 names, 0 bytes ({swept_text})"))
    }

    /// Other processes that were started for this house.
    pub(crate) fn users(&self) -> Vec<u32> {
        users_of(&self.root)
    }

    /// What the workers wrote down.
    pub(crate) fn reports(&self) -> Vec<String> {
        Board::reports(&self.side())
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if std::env::var_os("XTASK_KEEP").is_none() {
            // What is left has been reported; nothing else can be done about it.
            let _ = fs::remove_dir_all(&self.root);
        }
    }
}

/// Files in a directory and the bytes of memory that they take.
pub(crate) fn contents(directory: &Path) -> Vec<(String, u64)> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .map(|entry| {
            let bytes = entry.metadata().map_or(0, |metadata| metadata.blocks() * 512);
            (entry.file_name().to_string_lossy().into_owned(), bytes)
        })
        .collect()
}

/// Other processes that were started for this house.
fn users_of(root: &Path) -> Vec<u32> {
    let wanted = root.to_string_lossy().into_owned();
    let is_user = |pid: u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        String::from_utf8_lossy(&environment).contains(&wanted)
    };
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != std::process::id() && is_user(*pid))
        .collect()
}
