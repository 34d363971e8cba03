//! The directory of names, and the lock under which names and parties change.

use crate::error::{Error, ErrorKind, Result, human};
use crossdock_sys::clock::Deadline;
use crossdock_sys::file::{self, Directory};
use crossdock_sys::fork;
use parking_lot::Mutex;
#[cfg(feature = "tracing")]
use std::cell::RefCell;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Bytes that a name can have.
pub const NAME_BYTES_MAX: usize = 200;

/// How long somebody else may hold the directory's lock; it is held for microseconds.
const HOUSE_LOCK_MAX: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_micros(50);

/// A directory in which names are made and found.
#[derive(Debug)]
pub(crate) struct Namespace {
    pub(crate) directory: Directory,
}

/// The exclusive right to change names and parties of one directory.
///
/// The kernel takes it from a process that dies, and everything done under it can be done again from
/// the start, so whoever gets it next finds a state that it can go on from.
pub(crate) struct HouseLock {
    file: File,
    /// What is to be told when the lock has been let go of.
    #[cfg(feature = "tracing")]
    told: RefCell<Vec<Box<dyn FnOnce()>>>,
}

impl HouseLock {
    fn new(file: File) -> Self {
        Self {
            file,
            #[cfg(feature = "tracing")]
            told: RefCell::default(),
        }
    }

    /// Has an event told when the lock has been let go of: whoever listens may take its time.
    #[cfg_attr(not(feature = "tracing"), expect(unused_variables, reason = "nobody hears of it"))]
    pub(crate) fn afterwards(&self, tell: impl FnOnce() + 'static) {
        #[cfg(feature = "tracing")]
        self.told.borrow_mut().push(Box::new(tell));
    }
}

impl Drop for HouseLock {
    fn drop(&mut self) {
        // Closing the file is not enough if a child was forked meanwhile: it has the same open file.
        let _ = file::unlock(&self.file);
        #[cfg(feature = "tracing")]
        self.told.take().into_iter().for_each(|tell| tell());
    }
}

impl fmt::Debug for HouseLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HouseLock").field("file", &self.file).finish_non_exhaustive()
    }
}

/// Where names live: `$CROSSDOCK_DIR`, or a directory of this user in shared memory.
pub(crate) fn path() -> PathBuf {
    match std::env::var_os("CROSSDOCK_DIR") {
        Some(path) if !path.is_empty() => PathBuf::from(path),
        _ => Directory::default_path(),
    }
}

impl Namespace {
    /// The directory of this process, made if it is not there.
    pub(crate) fn current() -> Result<Arc<Self>> {
        // Whoever has a name must notice being a copy in a forked child.
        fork::watch();
        // What has a name may hold locks.
        crate::owners::install();
        static CURRENT: Mutex<Option<Arc<Namespace>>> = Mutex::new(None);
        let mut current = CURRENT.lock();
        if let Some(namespace) = current.as_ref()
            && namespace.directory.is_linked()
            && namespace.directory.path() == path()
        {
            return Ok(Arc::clone(namespace));
        }
        let path = path();
        let directory = Directory::open_private(&path)
            .map_err(|error| refused(&path.to_string_lossy(), error))?;
        let namespace = Arc::new(Self { directory });
        *current = Some(Arc::clone(&namespace));
        Ok(namespace)
    }

    /// The directory of this process if it exists.
    pub(crate) fn existing() -> Result<Option<Arc<Self>>> {
        let path = path();
        match Directory::open_existing(&path) {
            Ok(directory) => Ok(Some(Arc::new(Self { directory }))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(refused(&path.to_string_lossy(), error)),
        }
    }

    /// Waits for the right to change names and parties.
    pub(crate) fn lock(&self) -> Result<HouseLock> {
        let deadline = Deadline::after(HOUSE_LOCK_MAX);
        loop {
            match self.directory.try_lock() {
                Ok(Some(file)) => return Ok(HouseLock::new(file)),
                Ok(None) if deadline.is_past() => {
                    let path = self.directory.path().display();
                    return Err(Error::new(
                        ErrorKind::Busy,
                        format!(
                            "the lock of {path} is held for more than {HOUSE_LOCK_MAX:?} \
                             (is a process that uses it stopped?)"
                        ),
                    ));
                }
                Ok(None) => std::thread::sleep(POLL),
                Err(error) => {
                    let path = self.directory.path().display();
                    return Err(Error::os(format_args!("cannot lock {path}"), error));
                }
            }
        }
    }

    /// The error of a create that found no memory.
    pub(crate) fn no_space(&self, what: &str, needed: u64, error: io::Error) -> Error {
        let path = self.directory.path().display().to_string();
        let free = self.directory.space().map_or(0, |(free, _)| free);
        Error::os(
            format_args!(
                "cannot create {what}: {path} has {} free, {} needed (in a container, raise \
                 --shm-size; `crossdock gc` frees what dead processes left)",
                human(free),
                human(needed)
            ),
            error,
        )
    }
}

fn refused(path: &str, error: io::Error) -> Error {
    let remedy = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            " (it must belong to this user with mode 0700; set CROSSDOCK_DIR to another one)"
        }
        io::ErrorKind::NotADirectory => " (a file or link is in its place; remove it)",
        io::ErrorKind::NotFound => " (the directory it lies in must exist)",
        _ => "",
    };
    Error::os(format_args!("cannot use {path} as directory of names{remedy}"), error)
}

/// Does `make` in this process's directory of names, again if the directory was removed meanwhile by
/// somebody who saw it empty.
pub(crate) fn retry<T>(make: impl Fn(&Arc<Namespace>) -> Result<T>) -> Result<T> {
    loop {
        let namespace = Namespace::current()?;
        match make(&namespace) {
            Err(error)
                if error.kind() == ErrorKind::NotFound && !namespace.directory.is_linked() => {}
            other => return other,
        }
    }
}

/// Checks a name that a user gave.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let problem = if name.is_empty() {
        "it is empty"
    } else if name.len() > NAME_BYTES_MAX {
        "it is longer than 200 bytes"
    } else if name.starts_with('.') {
        "it begins with a dot"
    } else if name.contains('/') {
        "it contains a slash"
    } else if name.chars().any(char::is_control) {
        "it contains a control character"
    } else {
        return Ok(());
    };
    let text =
        format!("{name:?} cannot be a name: {problem} (1 to 200 bytes, no slash, no leading dot)");
    Err(Error::new(ErrorKind::InvalidName, text).named(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_the_directory_are_refused() {
        for name in ["", ".", "..", "../x", "a/b", ".parties", "a\0b", "new\nline"] {
            assert_eq!(check_name(name).unwrap_err().kind(), ErrorKind::InvalidName, "{name:?}");
        }
        assert!(check_name(&"n".repeat(201)).is_err());
        assert!(check_name(&"n".repeat(200)).is_ok());
        assert!(check_name("frames.left camera \u{e4}").is_ok());
    }
}
