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
            // Not under `pid`: this /proc may be that of an outer pid namespace.
            start_ticks: start_ticks("self")?,
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
    Elsewhere,
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
            State::Elsewhere => Liveness::Elsewhere,
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
    match pid_namespace() {
        // The number of a namespace is given out again only when no process is left in it.
        Ok(ours) if ours == id.pid_namespace => {}
        Ok(_) => return State::Elsewhere,
        Err(_) => return State::Hidden,
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
        match start_ticks(&id.pid.to_string()) {
            Ok(ticks) if is_proc_ours() => ticks == id.start_ticks,
            // Not being able to look says nothing about the process, either: this `/proc` may be another
            // namespace's, or show other processes to their users only. Its end is for the next look.
            _ => return State::Hidden,
        }
    };
    if is_same { State::Visible(pidfd) } else { State::Gone }
}

/// Whether `/proc` shows the processes of this pid namespace.
fn is_proc_ours() -> bool {
    std::fs::read_link("/proc/self")
        .is_ok_and(|link| link.as_os_str() == std::process::id().to_string().as_str())
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

fn start_ticks(process: &str) -> io::Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The command name may hold spaces and brackets: count fields from the last bracket on.
    let tail = stat.rsplit_once(')').map_or("", |(_, tail)| tail);
    let field = tail.split_ascii_whitespace().nth(19).ok_or(io::ErrorKind::InvalidData)?;
    field.parse().map_err(|_| io::ErrorKind::InvalidData.into())
}

/// Bytes of physical memory that a process has mapped, shared memory included.
///
/// # Errors
///
/// There is no such process, or no `/proc`.
#[doc(alias = "statm")]
pub fn resident_bytes(pid: u32) -> io::Result<u64> {
    // proc_pid_statm(5): size, then resident, in pages.
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm"))?;
    let pages: Option<u64> = text.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    let pages = pages.ok_or(io::ErrorKind::InvalidData)?;
    Ok(pages * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Deadline;
    use rustix::pipe::PipeFlags;
    use rustix::process::WaitOptions;
    use std::os::fd::AsRawFd;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    #[test]
    fn this_process_is_alive() {
        let watch = Watch::new(ProcessId::current().unwrap());
        assert_eq!(watch.liveness(), Liveness::Alive);
    }

    /// A child as others would know it, and a descriptor to wait for its end with.
    fn known(child: u32) -> (ProcessId, OwnedFd) {
        let pid = Pid::from_raw(i32::try_from(child).unwrap()).unwrap();
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        let id = ProcessId {
            pid: child,
            pidfd_inode: pidfs_inode(&pidfd),
            start_ticks: start_ticks(&child.to_string()).unwrap(),
            ..ProcessId::current().unwrap()
        };
        (id, pidfd)
    }

    #[test]
    fn a_zombie_is_dead() {
        let mut child =
            Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let (id, pidfd) = known(child.id());
        let watch = Watch::new(id);
        assert_eq!(watch.liveness(), Liveness::Alive);
        child.kill().unwrap();
        poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], None).unwrap();
        assert_eq!(watch.liveness(), Liveness::Dead, "killed, not yet reaped");
        assert_eq!(Watch::new(id).liveness(), Liveness::Dead);
        child.wait().unwrap();
        assert_eq!(Watch::new(id).liveness(), Liveness::Dead);
    }

    /// Forks a child whose first thread ends at once, while a second one lives as long as anybody has the
    /// other end of `wait`, `cue`.
    #[allow(unsafe_code, reason = "only a C interface ends one thread and not the others")]
    fn child_without_a_first_thread(wait: &OwnedFd, cue: &OwnedFd) -> u32 {
        // SAFETY: the child starts a thread and ends without unwinding; the C library lets a child that
        // has one thread allocate.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "fork failed");
        if pid == 0 {
            // SAFETY: the child needs its copy no more, and ends before anything else could close it.
            unsafe { libc::close(cue.as_raw_fd()) };
            let wait = wait.as_raw_fd();
            std::thread::spawn(move || {
                let mut fds = libc::pollfd { fd: wait, events: libc::POLLIN, revents: 0 };
                // SAFETY: one element that lives on this stack.
                unsafe { libc::poll(&raw mut fds, 1, -1) };
                // SAFETY: ends the child.
                unsafe { libc::_exit(0) };
            });
            // SAFETY: ends this thread, whose stack nobody refers to, and not the process.
            unsafe { libc::syscall(libc::SYS_exit, 0) };
        }
        pid.unsigned_abs()
    }

    #[test]
    fn a_process_whose_first_thread_has_ended_is_alive_as_long_as_another_lives() {
        let (wait, cue) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).unwrap();
        let child = child_without_a_first_thread(&wait, &cue);
        let (id, pidfd) = known(child);
        let before = Watch::new(id);
        let state = || {
            let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap();
            stat.rsplit_once(") ").unwrap().1.chars().next()
        };
        let deadline = Deadline::after(Duration::from_secs(60));
        while state() != Some('Z') {
            assert!(!deadline.is_past(), "its first thread does not end");
            std::thread::yield_now();
        }
        assert_eq!(before.liveness(), Liveness::Alive, "found while its first thread lived");
        assert_eq!(Watch::new(id).liveness(), Liveness::Alive, "found later");
        drop(cue);
        poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], None).unwrap();
        assert_eq!(before.liveness(), Liveness::Dead);
        assert_eq!(Watch::new(id).liveness(), Liveness::Dead);
        let pid = Pid::from_raw(i32::try_from(child).unwrap());
        let ended = rustix::process::waitpid(pid, WaitOptions::empty()).unwrap();
        assert!(ended.is_some_and(|(_, status)| status.exited()));
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
    fn a_process_of_another_pid_namespace_is_elsewhere() {
        let mut id = ProcessId::current().unwrap();
        id.pid_namespace ^= 1;
        assert_eq!(Watch::new(id).liveness(), Liveness::Elsewhere);
        id.boot[0] ^= 1;
        assert_eq!(Watch::new(id).liveness(), Liveness::Dead, "of another boot, wherever it was");
    }
}
