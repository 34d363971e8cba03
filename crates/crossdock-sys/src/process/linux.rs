//! Identity by pidfd inode, liveness by polling a pidfd.
//!
//! A pid alone is reused within seconds, and a pid with its start time still collides because the
//! start time has 10 ms ticks. The inode number of a pidfd (pidfs, Linux 6.9) is unique for a boot:
//! see `pidfd_open(2)` and `sd_pidfd_get_inode_id(3)`. On an older kernel the start time is what is left.

use super::Liveness;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::fs::Timespec;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;

/// The name of one process, never given to another while the machine runs.
///
/// All zeroes is nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessId {
    /// `/proc/sys/kernel/random/boot_id`, as two words.
    pub boot: [u64; 2],
    /// Inode of the pid namespace in which `pid` counts.
    pub pid_namespace: u64,
    /// The process id inside that namespace.
    pub pid: u32,
    /// Inode of the process's pidfd, 0 before Linux 6.9.
    pub pidfd_inode: u64,
    /// Ticks from boot to the start of the process (field 22 of `/proc/PID/stat`).
    pub start_ticks: u64,
}

impl ProcessId {
    /// The identity of the calling process.
    ///
    /// # Errors
    ///
    /// When `/proc` is not mounted or pidfds do not exist (before Linux 5.3).
    pub fn current() -> io::Result<Self> {
        let pid = std::process::id();
        let pidfd = pidfd_open(rustix::process::getpid(), PidfdFlags::empty())?;
        Ok(Self {
            boot: boot_id()?,
            pid_namespace: pid_namespace()?,
            pid,
            pidfd_inode: pidfs_inode(&pidfd),
            start_ticks: start_ticks(pid)?,
        })
    }
}

/// A way to ask cheaply, again and again, whether one process has ended.
#[derive(Debug)]
pub struct Watch {
    id: ProcessId,
    state: State,
}

#[derive(Debug)]
enum State {
    Gone,
    Visible(OwnedFd),
    Hidden,
}

impl Watch {
    /// Begins to watch `id`, which may have ended long ago.
    #[must_use]
    pub fn new(id: ProcessId) -> Self {
        Self { id, state: begin(&id) }
    }

    /// Who is watched.
    #[must_use]
    pub fn id(&self) -> &ProcessId {
        &self.id
    }

    /// Whether the process lives: one `poll(2)` of its pidfd. A zombie is dead.
    #[must_use]
    pub fn liveness(&self) -> Liveness {
        match &self.state {
            State::Gone => Liveness::Dead,
            State::Hidden => Liveness::Unknown,
            State::Visible(pidfd) => {
                let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
                let now = Timespec { tv_sec: 0, tv_nsec: 0 };
                match poll(&mut fds, Some(&now)) {
                    Ok(count) if count > 0 => Liveness::Dead,
                    _ => Liveness::Alive,
                }
            }
        }
    }
}

fn begin(id: &ProcessId) -> State {
    match boot_id() {
        Ok(boot) if boot != id.boot => return State::Gone,
        Ok(_) => {}
        Err(_) => return State::Hidden,
    }
    if pid_namespace().ok() != Some(id.pid_namespace) {
        return State::Hidden;
    }
    let Some(pid) = i32::try_from(id.pid).ok().and_then(Pid::from_raw) else { return State::Gone };
    let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => pidfd,
        Err(rustix::io::Errno::SRCH) => return State::Gone,
        // Out of descriptors or memory says nothing about the process: never call it dead.
        Err(_) => return State::Hidden,
    };
    let inode = pidfs_inode(&pidfd);
    let is_same = if id.pidfd_inode != 0 && inode != 0 {
        inode == id.pidfd_inode
    } else {
        match start_ticks(id.pid) {
            Ok(ticks) => ticks == id.start_ticks,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            // Not being able to look says nothing about the process, either.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => false,
            Err(_) => return State::Hidden,
        }
    };
    if is_same { State::Visible(pidfd) } else { State::Gone }
}

/// The inode of a pidfd where pidfs gives each process its own, else 0.
fn pidfs_inode(pidfd: &OwnedFd) -> u64 {
    const PIDFS_MAGIC: u64 = 0x5049_4446;
    let on_pidfs = rustix::fs::fstatfs(pidfd)
        .is_ok_and(|stat| u64::try_from(stat.f_type).is_ok_and(|kind| kind == PIDFS_MAGIC));
    if !on_pidfs {
        return 0;
    }
    rustix::fs::fstat(pidfd).map_or(0, |stat| stat.st_ino)
}

fn boot_id() -> io::Result<[u64; 2]> {
    static BOOT: OnceLock<[u64; 2]> = OnceLock::new();
    if let Some(boot) = BOOT.get() {
        return Ok(*boot);
    }
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let value = u128::from_str_radix(&digits, 16).map_err(|_| io::ErrorKind::InvalidData)?;
    let words = [(value >> 64) as u64, value as u64];
    Ok(*BOOT.get_or_init(|| words))
}

fn pid_namespace() -> io::Result<u64> {
    Ok(std::fs::metadata("/proc/self/ns/pid")?.ino())
}

fn start_ticks(pid: u32) -> io::Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The command name may hold spaces and brackets: count fields from the last bracket on.
    let tail = stat.rsplit_once(')').map_or("", |(_, tail)| tail);
    let field = tail.split_ascii_whitespace().nth(19).ok_or(io::ErrorKind::InvalidData)?;
    field.parse().map_err(|_| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn this_process_is_alive() {
        let watch = Watch::new(ProcessId::current().unwrap());
        assert_eq!(watch.liveness(), Liveness::Alive);
    }

    #[test]
    fn a_zombie_is_dead() {
        let mut child =
            Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut id = ProcessId { pid: child.id(), ..ProcessId::current().unwrap() };
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        id.pidfd_inode = pidfs_inode(&pidfd);
        id.start_ticks = start_ticks(child.id()).unwrap();
        let watch = Watch::new(id);
        assert_eq!(watch.liveness(), Liveness::Alive);
        child.kill().unwrap();
        poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], None).unwrap();
        assert_eq!(watch.liveness(), Liveness::Dead, "killed, not yet reaped");
        assert_eq!(Watch::new(id).liveness(), Liveness::Dead);
        child.wait().unwrap();
        assert_eq!(Watch::new(id).liveness(), Liveness::Dead);
    }

    #[test]
    fn another_process_under_the_same_pid_is_not_the_old_one() {
        let mut id = ProcessId::current().unwrap();
        id.pidfd_inode ^= 1;
        id.start_ticks ^= 1;
        assert_eq!(Watch::new(id).liveness(), Liveness::Dead);
    }

    #[test]
    fn a_process_of_another_boot_is_dead() {
        let mut id = ProcessId::current().unwrap();
        id.boot[0] ^= 1;
        assert_eq!(Watch::new(id).liveness(), Liveness::Dead);
    }

    #[test]
    fn a_process_of_another_pid_namespace_is_unknown() {
        let mut id = ProcessId::current().unwrap();
        id.pid_namespace ^= 1;
        assert_eq!(Watch::new(id).liveness(), Liveness::Unknown);
    }
}
