//! tmpfs through `O_TMPFILE`, `fallocate(2)`, `linkat(2)`, `openat2(2)` and `flock(2)`.
//!
//! Every name is resolved beneath an open directory, without following a link out of it. Locks
//! belong to the open file, so the kernel drops them however the process ends.

use rustix::fs::{
    AtFlags, CWD, FallocateFlags, FileType, FlockOperation, MemfdFlags, Mode, OFlags, ResolveFlags,
};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// A directory that holds names, private to one user.
#[derive(Debug)]
pub struct Directory {
    file: File,
    path: PathBuf,
}

/// How often a directory is made again that others keep removing.
const OPEN_ATTEMPTS_MAX: u32 = 10_000;

/// The names in a directory.
pub type Names = Vec<String>;

impl Directory {
    /// Opens `path`, which must be a directory of the calling user that nobody else can enter;
    /// makes it if it is not there.
    ///
    /// # Errors
    ///
    /// `PermissionDenied` when it belongs to another user or others may enter it, `NotADirectory`
    /// when it is a link or a file, or the error of the system call.
    pub fn open_private(path: &Path) -> io::Result<Self> {
        for _ in 0..OPEN_ATTEMPTS_MAX {
            match rustix::fs::mkdir(path, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            match Self::open_existing(path) {
                // Somebody has just removed it because it was empty.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => return other,
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }

    /// As [`Directory::open_private`], but never makes it.
    ///
    /// # Errors
    ///
    /// As [`Directory::open_private`], and `NotFound`.
    pub fn open_existing(path: &Path) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
        let stat = rustix::fs::fstat(&file)?;
        let open_to_others = stat.st_mode & 0o077 != 0;
        if stat.st_uid != rustix::process::geteuid().as_raw() || open_to_others {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(Self { file, path: path.to_owned() })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The default directory of the calling user.
    #[must_use]
    pub fn default_path() -> PathBuf {
        PathBuf::from(format!("/dev/shm/crossdock-{}", rustix::process::geteuid().as_raw()))
    }

    /// Whether the directory still has its path: `false` after somebody removed it.
    #[must_use]
    pub fn is_linked(&self) -> bool {
        let (Ok(ours), Ok(there)) = (rustix::fs::fstat(&self.file), rustix::fs::lstat(&self.path))
        else {
            return false;
        };
        ours.st_ino == there.st_ino && ours.st_dev == there.st_dev
    }

    /// All names in it, in no order.
    ///
    /// # Errors
    ///
    /// The error of the system call.
    pub fn names(&self) -> io::Result<Names> {
        let mut names = Names::new();
        for entry in rustix::fs::Dir::read_from(&self.file)? {
            let entry = entry?;
            match entry.file_name().to_str() {
                Ok("." | "..") | Err(_) => {}
                Ok(name) => names.push(name.to_owned()),
            }
        }
        Ok(names)
    }

    /// Removes `name`; says whether it was there.
    ///
    /// # Errors
    ///
    /// The error of the system call, except that the name is absent.
    pub fn unlink(&self, name: &str) -> io::Result<bool> {
        match rustix::fs::unlinkat(&self.file, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The inode that `name` leads to now, if any.
    #[must_use]
    pub fn inode_of(&self, name: &str) -> Option<u64> {
        rustix::fs::statat(&self.file, name, AtFlags::SYMLINK_NOFOLLOW).ok().map(|s| s.st_ino)
    }

    /// Removes the directory itself if it is empty.
    pub fn remove_if_empty(&self) {
        // Not empty, or already gone: both are as good.
        let _ = rustix::fs::rmdir(&self.path);
    }

    /// Locks the directory against every other holder of this lock, in any process or thread, until
    /// the returned file is dropped; `None` when somebody else has it.
    ///
    /// # Errors
    ///
    /// `NotFound` when the directory is gone, or the error of the system call.
    pub fn try_lock(&self) -> io::Result<Option<File>> {
        // A lock belongs to an open file, so each holder opens its own.
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let own = File::from(rustix::fs::openat(&self.file, ".", flags, Mode::empty())?);
        Ok(lock_exclusive(&own)?.then_some(own))
    }

    /// Bytes that the file system of this directory has free and in all.
    ///
    /// # Errors
    ///
    /// The error of the system call.
    pub fn space(&self) -> io::Result<(u64, u64)> {
        let stat = rustix::fs::fstatvfs(&self.file)?;
        Ok((stat.f_bavail * stat.f_frsize, stat.f_blocks * stat.f_frsize))
    }
}

/// What the kernel says of an open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Length in bytes.
    pub len: u64,
    /// Bytes that its pages take.
    pub allocated_bytes: u64,
    /// Number of names; 0 once unlinked.
    pub links: u64,
    /// Its identity on its file system.
    pub inode: u64,
    /// Owner.
    pub uid: u32,
    /// Permission bits.
    pub mode: u32,
    /// Whether it is an ordinary file, not a pipe, device or directory.
    pub is_regular: bool,
}

/// Asks the kernel about an open file.
///
/// # Errors
///
/// The error of the system call.
pub fn status(file: &File) -> io::Result<Status> {
    let stat = rustix::fs::fstat(file)?;
    Ok(Status {
        len: u64::try_from(stat.st_size).unwrap_or(0),
        allocated_bytes: u64::try_from(stat.st_blocks).unwrap_or(0) * 512,
        links: stat.st_nlink,
        inode: stat.st_ino,
        uid: stat.st_uid,
        mode: stat.st_mode & 0o7777,
        is_regular: FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile,
    })
}

/// A new file in `directory` that has no name yet, with permission bits `mode`.
///
/// # Errors
///
/// The error of the system call; `Unsupported` when the file system cannot do it.
#[doc(alias = "O_TMPFILE")]
pub fn unnamed(directory: &Directory, mode: u32) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file =
        File::from(rustix::fs::openat(&directory.file, ".", flags, Mode::from_raw_mode(mode))?);
    set_mode(&file, mode)?;
    Ok(file)
}

/// Sets the permission bits, whatever the umask says.
///
/// # Errors
///
/// The error of the system call.
pub fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    Ok(rustix::fs::fchmod(file, Mode::from_raw_mode(mode))?)
}

/// A file that lives in memory and has no name.
///
/// # Errors
///
/// The error of the system call.
#[doc(alias = "memfd_create")]
pub fn anonymous(label: &str) -> io::Result<File> {
    Ok(rustix::fs::memfd_create(label, MemfdFlags::CLOEXEC)?.into())
}

/// Takes the memory for `len` bytes from `from` on now, lengthening the file if need be.
///
/// Without this a full file system is a SIGBUS at some later store.
///
/// # Errors
///
/// `StorageFull` when the memory is not there; the file is then as long as before.
#[doc(alias = "fallocate")]
pub fn reserve(file: &File, from: u64, len: u64) -> io::Result<()> {
    if len == 0 {
        return Ok(());
    }
    loop {
        match rustix::fs::fallocate(file, FallocateFlags::empty(), from, len) {
            Err(Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

/// Gives the memory of a whole file back and keeps its length; its bytes read as zero.
///
/// # Errors
///
/// The error of the system call.
#[doc(alias = "FALLOC_FL_PUNCH_HOLE")]
pub fn punch(file: &File) -> io::Result<()> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    let len = status(file)?.len;
    if len == 0 {
        return Ok(());
    }
    Ok(rustix::fs::fallocate(file, flags, 0, len)?)
}

/// Gives an unnamed file its name. `AlreadyExists` is the exclusive part of an exclusive create.
///
/// # Errors
///
/// The error of the system call.
#[doc(alias = "linkat")]
pub fn link(file: &File, directory: &Directory, name: &str) -> io::Result<()> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(rustix::fs::linkat(CWD, path, &directory.file, name, AtFlags::SYMLINK_FOLLOW)?)
}

/// Opens the ordinary file `name` of `directory`.
///
/// # Errors
///
/// `NotFound`, `PermissionDenied`; `InvalidData` when the name is not an ordinary file of this
/// user (a pipe, a link, somebody else's).
pub fn open(directory: &Directory, name: &str, writable: bool) -> io::Result<File> {
    let access = if writable { OFlags::RDWR } else { OFlags::RDONLY };
    // NONBLOCK: a pipe put under the name must not make the open hang.
    let flags = access | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let beneath = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    let fd = loop {
        match rustix::fs::openat2(&directory.file, name, flags, Mode::empty(), beneath) {
            Err(Errno::LOOP | Errno::NXIO | Errno::ISDIR) => {
                return Err(io::ErrorKind::InvalidData.into());
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => break other?,
        }
    };
    let file = File::from(fd);
    let status = status(&file)?;
    if !status.is_regular || status.uid != rustix::process::geteuid().as_raw() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(file)
}

/// Creates a plain POSIX shared memory object, exclusively.
///
/// # Errors
///
/// The error of the system call.
#[doc(alias = "shm_open")]
pub fn create_posix(name: &str, mode: u32) -> io::Result<File> {
    let flags = rustix::shm::OFlags::CREATE | rustix::shm::OFlags::EXCL | rustix::shm::OFlags::RDWR;
    let file = File::from(rustix::shm::open(name, flags, Mode::from_raw_mode(mode))?);
    set_mode(&file, mode)?;
    Ok(file)
}

/// Opens a plain POSIX shared memory object.
///
/// # Errors
///
/// The error of the system call; `InvalidData` when it is not an ordinary file.
#[doc(alias = "shm_open")]
pub fn open_posix(name: &str, writable: bool) -> io::Result<File> {
    let access = if writable { rustix::shm::OFlags::RDWR } else { rustix::shm::OFlags::RDONLY };
    let file = match rustix::shm::open(name, access, Mode::empty()) {
        Err(Errno::LOOP) => return Err(io::ErrorKind::InvalidData.into()),
        other => File::from(other?),
    };
    if !status(&file)?.is_regular {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(file)
}

/// Removes the name of a plain POSIX shared memory object; says whether it was there.
///
/// # Errors
///
/// The error of the system call, except that the name is absent.
#[doc(alias = "shm_unlink")]
pub fn unlink_posix(name: &str) -> io::Result<bool> {
    match rustix::shm::unlink(name) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn lock(file: &File, operation: FlockOperation) -> io::Result<bool> {
    loop {
        match rustix::fs::flock(file, operation) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK) => return Ok(false),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Takes the shared lock without waiting; `false` when somebody holds the exclusive one.
///
/// # Errors
///
/// The error of the system call.
#[doc(alias = "flock")]
pub fn lock_shared(file: &File) -> io::Result<bool> {
    lock(file, FlockOperation::NonBlockingLockShared)
}

/// Lets go of a lock, even if a forked child has the same open file.
///
/// # Errors
///
/// The error of the system call.
#[doc(alias = "flock")]
pub fn unlock(file: &File) -> io::Result<()> {
    Ok(rustix::fs::flock(file, FlockOperation::Unlock)?)
}

/// Takes the exclusive lock without waiting; `false` when somebody else holds any lock.
///
/// A shared lock that this open file held is gone in that case: the change of kind is not atomic
/// (`flock(2)`).
///
/// # Errors
///
/// The error of the system call.
#[doc(alias = "flock")]
pub fn lock_exclusive(file: &File) -> io::Result<bool> {
    lock(file, FlockOperation::NonBlockingLockExclusive)
}
