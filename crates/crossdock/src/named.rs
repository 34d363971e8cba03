//! The life of a name: nothing half-made is ever visible, and the last one out unlinks.
//!
//! # States
//!
//! | file | lock | meaning |
//! |---|---|---|
//! | no name yet | shared, by its maker | being made; vanishes if the maker dies |
//! | named | shared, by each user | in use |
//! | named | exclusive | its last user is removing it, or one user has it alone |
//! | named | none | left by processes that were killed (reclaimed by the next create or open, or by gc), or persistent |
//! | unlinked | any | gone; users that still have it keep their memory |
//!
//! The lock is `flock(2)`: it belongs to the open file, so the kernel drops it with the process, and a
//! forked child shares it with its parent, as it shares the mapping.
//!
//! It cannot be asked for without being taken, and whoever leaves at that moment takes the one who asks for another
//! user. So each user also shares a byte beyond the end of the file ([`is_in_use`]), for those who only look.
//!
//! A name is removed only by a holder of the directory's lock who has seen that it still leads to the
//! very file, so nobody removes what somebody else has just created. (Plain create and unlink lose this
//! race every time; the figures are in `docs/how-to-break-it.md`.)

use crate::error::{Error, ErrorKind, Result};
use crate::namespace::{HouseLock, Namespace};
use crate::trace;
use crossdock_core::header::{
    FLAGS_OFFSET, HEADER_BYTES, Header, Kind, Mismatch, PERSISTENT, TEXT_BYTES_MAX,
};
use crossdock_sys::clock::Deadline;
use crossdock_sys::{file, fork, token};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long an opener waits for somebody who is just leaving.
const LEAVING_MAX: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_micros(20);
const RETRIES_MAX: u32 = 10_000;

/// An open named file.
#[derive(Debug)]
pub(crate) struct Named {
    file: File,
    name: String,
    namespace: Arc<Namespace>,
    /// The header as it was checked.
    pub(crate) header: Header,
    inode: u64,
    generation: u64,
}

/// The byte that all users of a file share: where no file has one.
const USERS_BYTE: u64 = 1 << 62;

/// Whether anybody has a file open as its user, at about this moment. It is asked of another open file than a user's.
pub(crate) fn is_in_use(file: &File) -> bool {
    token::is_held(file, USERS_BYTE).unwrap_or(true)
}

/// Ends what [`Named::into_share`] began, for all copies of the descriptor.
#[cfg(feature = "process")]
pub(crate) fn release_share(share: &File) -> io::Result<()> {
    token::unshare(share, USERS_BYTE)?;
    file::unlock(share)
}

/// How a name is to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// With others, read-only.
    Read,
    /// With others, to write.
    Write,
    /// Alone.
    Exclusive,
}

impl Named {
    /// Puts a complete file under a new name.
    pub(crate) fn publish(
        namespace: &Arc<Namespace>,
        lock: Option<&HouseLock>,
        draft: Draft,
        name: &str,
    ) -> Result<Self> {
        for _ in 0..RETRIES_MAX {
            match file::link(&draft.file, &namespace.directory, name) {
                Ok(()) => {
                    let (file, header) = (draft.file, draft.header);
                    let (told, kind, bytes) = (name.to_owned(), header.kind, header.len);
                    let tell = move || trace::name_created(&told, kind, bytes);
                    match lock {
                        Some(lock) => lock.afterwards(tell),
                        None => tell(),
                    }
                    let inode = file::status(&file).map_or(0, |status| status.inode);
                    let namespace = Arc::clone(namespace);
                    let generation = fork::generation();
                    let name = name.to_owned();
                    return Ok(Self { file, name, namespace, header, inode, generation });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    match reclaim(namespace, lock, name) {
                        Ok(true) => {}
                        Ok(false) => return Err(exists(name)),
                        Err(error) => return Err(error),
                    }
                }
                Err(error) => {
                    let error = Error::os(format_args!("cannot create {name:?}"), error);
                    return Err(error.named(name));
                }
            }
        }
        Err(exists(name))
    }

    /// Opens a name that somebody is using, or that is persistent.
    pub(crate) fn open(
        namespace: &Arc<Namespace>,
        lock: Option<&HouseLock>,
        name: &str,
        share: Share,
    ) -> Result<Self> {
        let deadline = Deadline::after(LEAVING_MAX);
        loop {
            let file = match file::open(&namespace.directory, name, share != Share::Read) {
                Ok(file) => file,
                // Not to be written, but perhaps nobody's any more.
                Err(error)
                    if error.kind() == io::ErrorKind::PermissionDenied
                        && matches!(reclaim(namespace, lock, name), Ok(true)) =>
                {
                    continue;
                }
                Err(error) => return Err(cannot_open(name, error)),
            };
            let attached = attach(&file, share).map_err(|error| cannot_open(name, error))?;
            let status = file::status(&file).map_err(|error| cannot_open(name, error))?;
            match attached {
                _ if status.links == 0 => {}
                Attached::Alone if !is_persistent(&file) => {
                    let header = read_header(&file, name)?;
                    let _ = file::unlock(&file);
                    drop(file);
                    if reclaim(namespace, lock, name)? {
                        let text = format!(
                            "cannot open {} {name:?}: the processes that used it died (it has been \
                             removed; create it again)",
                            header.kind
                        );
                        return Err(Error::new(ErrorKind::NotFound, text).named(name));
                    }
                }
                Attached::Alone | Attached::Shared => {
                    let header = read_header(&file, name)?;
                    let (namespace, name) = (Arc::clone(namespace), name.to_owned());
                    let (inode, generation) = (status.inode, fork::generation());
                    return Ok(Self { file, name, namespace, header, inode, generation });
                }
                Attached::Refused if deadline.is_past() => return Err(busy(name, share)),
                Attached::Refused if share == Share::Exclusive => return Err(busy(name, share)),
                Attached::Refused => std::thread::sleep(POLL),
            }
        }
    }

    /// The open file.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// The name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The identity of the file.
    pub(crate) fn inode(&self) -> u64 {
        self.inode
    }

    /// Whether this handle belongs to this process, not to a parent that forked it.
    #[inline]
    pub(crate) fn is_ours(&self) -> bool {
        self.generation == fork::generation()
    }

    /// An open file that keeps the name in use for as long as anybody has it, in whatever process.
    #[cfg(feature = "process")]
    pub(crate) fn into_share(mut self) -> io::Result<File> {
        let share = self.file.try_clone()?;
        // Nobody's: to drop this handle is not to leave.
        self.generation = u64::MAX;
        Ok(share)
    }

    /// The name outlives its users from now on.
    pub(crate) fn persist(&self) -> Result<()> {
        let flags = self.header.flags | PERSISTENT;
        self.file
            .write_all_at(&flags.to_le_bytes(), FLAGS_OFFSET as u64)
            .map_err(|error| Error::os(format_args!("cannot persist {:?}", self.name), error))
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        if !self.is_ours() || is_persistent(&self.file) {
            return;
        }
        // Granted only if nobody else is attached; if it is not, the shared lock has gone all the
        // same, as is right for somebody who leaves.
        if !matches!(file::lock_exclusive(&self.file), Ok(true)) {
            return;
        }
        // Without the lock the name stays behind unlocked, and the next user reclaims it.
        let Ok(lock) = self.namespace.lock() else { return };
        remove(&self.namespace, &lock, &self.name, &self.file, &self.header);
    }
}

/// What a file says about the type of its value or of its messages.
pub(crate) fn read_text(file: &File, header: &Header) -> String {
    let mut bytes = vec![0; (header.text_bytes as usize).min(TEXT_BYTES_MAX)];
    match file.read_exact_at(&mut bytes, HEADER_BYTES as u64) {
        Ok(()) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => format!("an unreadable type ({error})"),
    }
}

/// A complete file that has no name yet.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) file: File,
    pub(crate) header: Header,
}

impl Draft {
    /// Makes a file with all its memory and its header, locked as in use.
    pub(crate) fn new(
        namespace: &Namespace,
        what: &str,
        header: Header,
        mode: u32,
    ) -> Result<Self> {
        let reserve = |file: &File, bytes| file::reserve(file, 0, bytes);
        Self::with_memory(namespace, what, header, mode, reserve)
    }

    /// As [`new`](Self::new), with memory that `reserve` takes.
    pub(crate) fn with_memory(
        namespace: &Namespace,
        what: &str,
        mut header: Header,
        mode: u32,
        reserve: impl FnOnce(&File, u64) -> io::Result<()>,
    ) -> Result<Self> {
        header.creator_pid = std::process::id();
        header.created_ns = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
        let file = file::unnamed(&namespace.directory, mode)
            .map_err(|error| Error::os(format_args!("cannot create {what}"), error))?;
        let bytes = header.data_offset.saturating_add(header.len);
        reserve(&file, bytes).map_err(|error| namespace.no_space(what, bytes, error))?;
        let draft = Self { file, header };
        draft.write_header()?;
        match token::share(&draft.file, USERS_BYTE).and_then(|_| file::lock_shared(&draft.file)) {
            Ok(_) => Ok(draft),
            Err(error) => Err(Error::os(format_args!("cannot lock {what}"), error)),
        }
    }

    /// Writes the header again after a change.
    pub(crate) fn write_header(&self) -> Result<()> {
        self.file
            .write_all_at(&self.header.to_bytes(), 0)
            .map_err(|error| Error::os("cannot write a header", error))
    }
}

enum Attached {
    Shared,
    Alone,
    Refused,
}

/// Locks a file and says whether anybody else had it locked.
fn attach(file: &File, share: Share) -> io::Result<Attached> {
    // Nobody ever has the byte alone.
    token::share(file, USERS_BYTE)?;
    if file::lock_exclusive(file)? {
        if share == Share::Exclusive || file::lock_shared(file)? {
            return Ok(Attached::Alone);
        }
        return Ok(Attached::Refused);
    }
    if share != Share::Exclusive && file::lock_shared(file)? {
        return Ok(Attached::Shared);
    }
    Ok(Attached::Refused)
}

/// Removes a name that no living process uses; `false` when somebody does.
pub(crate) fn reclaim(
    namespace: &Arc<Namespace>,
    lock: Option<&HouseLock>,
    name: &str,
) -> Result<bool> {
    let own_lock;
    let lock = if let Some(lock) = lock {
        lock
    } else {
        own_lock = namespace.lock()?;
        &own_lock
    };
    let file = match file::open(&namespace.directory, name, false) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(cannot_open(name, error)),
    };
    let header = read_header(&file, name)?;
    if header.is_persistent() {
        return Ok(false);
    }
    match file::lock_exclusive(&file) {
        Ok(true) => {}
        Ok(false) => return Ok(false),
        Err(error) => return Err(cannot_open(name, error)),
    }
    remove(namespace, lock, name, &file, &header);
    let told = name.to_owned();
    lock.afterwards(move || trace::name_reclaimed(&told, header.kind));
    // Should a child have been forked meanwhile, it must not keep the lock.
    let _ = file::unlock(&file);
    Ok(true)
}

/// Removes a name if it still leads to `file`, whose exclusive lock the caller holds.
pub(crate) fn remove(
    namespace: &Arc<Namespace>,
    lock: &HouseLock,
    name: &str,
    file: &File,
    header: &Header,
) {
    let is_same = file::status(file)
        .is_ok_and(|status| namespace.directory.inode_of(name) == Some(status.inode));
    if is_same {
        if header.kind == Kind::Channel {
            crate::reap::channel(namespace, lock, header);
        }
        // If this fails the name is stale, and the next user tries again.
        let _ = namespace.directory.unlink(name);
        let (told, kind) = (name.to_owned(), header.kind);
        lock.afterwards(move || trace::name_removed(&told, kind));
        crate::reap::last_name(namespace);
    }
}

/// Whether the name outlives its users, as the file says now.
fn is_persistent(file: &File) -> bool {
    let mut flags = [0; 8];
    file.read_exact_at(&mut flags, FLAGS_OFFSET as u64).is_ok()
        && u64::from_le_bytes(flags) & PERSISTENT != 0
}

/// Reads and checks the header of an open file.
pub(crate) fn read_header(file: &File, name: &str) -> Result<Header> {
    let mut bytes = [0; HEADER_BYTES];
    let file_bytes =
        || file::status(file).map(|status| status.len).map_err(|error| cannot_open(name, error));
    if file_bytes()? < HEADER_BYTES as u64 {
        return Err(mismatch(name, Mismatch::Foreign));
    }
    file.read_exact_at(&mut bytes, 0).map_err(|error| cannot_open(name, error))?;
    // Only now: what grows gets its bytes before its header says so.
    let file_bytes = file_bytes()?;
    Header::from_bytes(&bytes, file_bytes).map_err(|why| mismatch(name, why))
}

fn mismatch(name: &str, why: Mismatch) -> Error {
    let kind = match why {
        Mismatch::Foreign => ErrorKind::WrongKind,
        Mismatch::Version { .. } | Mismatch::ByteOrder => ErrorKind::WrongVersion,
        Mismatch::Field(_) => ErrorKind::Corrupt,
    };
    Error::new(kind, format!("cannot open {name:?}: {why}")).named(name)
}

fn exists(name: &str) -> Error {
    let text = format!("cannot create {name:?}: the name is in use (open it, or choose another)");
    Error::new(ErrorKind::AlreadyExists, text).named(name)
}

fn busy(name: &str, share: Share) -> Error {
    let text = if share == Share::Exclusive {
        format!("cannot open {name:?} alone: other handles or processes have it open")
    } else {
        format!("cannot open {name:?}: one process has it open alone")
    };
    Error::new(ErrorKind::Busy, text).named(name)
}

fn cannot_open(name: &str, error: io::Error) -> Error {
    let error = match error.kind() {
        io::ErrorKind::NotFound => {
            let text = format!("cannot open {name:?}: nothing has this name (create it first)");
            Error::new(ErrorKind::NotFound, text)
        }
        io::ErrorKind::InvalidData => {
            let text = format!("cannot open {name:?}: it is not an ordinary file of this user");
            Error::new(ErrorKind::WrongKind, text)
        }
        _ => Error::os(format_args!("cannot open {name:?}"), error),
    };
    error.named(name)
}
