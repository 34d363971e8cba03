//! The directories of names of the lanes: real files, below one directory in shared memory.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Variable that tells the library where names live.
const VARIABLE: &str = "CROSSDOCK_DIR";

/// The directory of one run, removed at its end. (xtask removes it if the run is killed.)
#[derive(Debug)]
pub(crate) struct Ground {
    root: PathBuf,
    /// Who made it: no fork removes it.
    maker: u32,
}

impl Ground {
    pub(crate) fn new() -> io::Result<Self> {
        let maker = std::process::id();
        let root = PathBuf::from(format!("/dev/shm/crossdock-stepkill-{maker}"));
        DirBuilder::new().mode(0o700).create(&root)?;
        Ok(Self { root, maker })
    }

    /// The directory of names of a lane, which becomes that of this process and of whom it forks.
    pub(crate) fn enter(&self, lane: usize) -> PathBuf {
        let path = self.root.join(lane.to_string());
        // SAFETY: this process has one thread.
        unsafe { std::env::set_var(VARIABLE, &path) };
        path
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if std::process::id() == self.maker {
            // Each trial has said what is left; nothing else can be done about it.
            let _ = fs::remove_dir_all(&self.root);
        }
    }
}

/// The directory of names of this process.
pub(crate) fn names() -> PathBuf {
    PathBuf::from(std::env::var_os(VARIABLE).unwrap_or_default())
}

/// The files of a directory that need not exist, in order.
pub(crate) fn files(path: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let mut names: Vec<_> = entries.filter_map(Result::ok).map(name).collect();
    names.sort();
    names
}

/// Removes a directory, if it is there.
pub(crate) fn wipe(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
