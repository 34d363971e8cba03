//! Processes that are forked, stepped through their instructions, and killed.
//!
//! The tracer is single-threaded, and a tracee runs on the tracer's processor: a step is then two switches.

use crate::stage::{self, Role};
use std::arch::asm;
use std::fs::File;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How often a wait for a tracee looks whether it sleeps.
const LOOK: Duration = Duration::from_millis(3);
/// Exit status of a process that panicked.
const PANICKED: i32 = 101;

static PAUSES: AtomicBool = AtomicBool::new(false);

/// Where a victim stops once, until others have come, if its scenario is about what follows.
#[inline(always)]
pub(crate) fn pause() {
    if PAUSES.load(Relaxed) {
        trap();
    }
}

/// Where a process that is traced stops.
#[inline(always)]
pub(crate) fn trap() {
    // SAFETY: the instruction changes nothing; the tracer sees it and goes on behind it.
    unsafe { asm!("int3", options(nostack)) };
}

/// What a tracee has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It has executed an instruction, or has come to a trap.
    Stepped,
    /// It sleeps on a futex, and may go on later.
    Asleep,
    /// It has finished.
    Ended,
    /// It panicked, or was ended by a signal of its own.
    Crashed,
}

/// A child of this process, killed and waited for at the latest on drop.
#[derive(Debug)]
pub(crate) struct Child {
    pid: libc::pid_t,
    is_waited_for: bool,
    /// A step has been ordered and its end not been seen.
    is_moving: bool,
}

/// Forks; the child runs `act` and ends.
fn fork(act: impl FnOnce() -> i32) -> io::Result<Child> {
    // SAFETY: this process has one thread, so the child may do what it likes.
    let pid = unsafe { libc::fork() };
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    if pid == 0 {
        // SAFETY: no memory is involved.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        // A panic must not unwind into what the parent was doing.
        let status = catch_unwind(AssertUnwindSafe(act)).unwrap_or(PANICKED);
        // SAFETY: it ends the process, without running what the parent has registered.
        unsafe { libc::_exit(status) };
    }
    Ok(Child { pid, is_waited_for: false, is_moving: false })
}

impl Child {
    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.pid.cast_unsigned()
    }

    /// A process that does something of its own.
    pub(crate) fn start(act: impl FnOnce()) -> io::Result<Self> {
        fork(|| {
            act();
            0
        })
    }

    /// A process that plays a role, at full speed.
    pub(crate) fn free(role: Role, act: impl FnOnce()) -> io::Result<Self> {
        let child = fork(|| {
            stage::become_role(role);
            act();
            0
        })?;
        // It may be killed before it says so itself.
        stage::announce(role, child.id());
        Ok(child)
    }

    /// A process that plays a role and stands before the first instruction of `act`; at its [`pause`] as
    /// well, if it `pauses`.
    pub(crate) fn traced(role: Role, pauses: bool, act: impl FnOnce()) -> io::Result<Self> {
        Self::stepped(|| {
            stage::become_role(role);
            PAUSES.store(pauses, Relaxed);
            act
        })
    }

    /// A process that prepares itself and stands before the first instruction of what comes of that.
    pub(crate) fn stepped<A: FnOnce()>(prepare: impl FnOnce() -> A) -> io::Result<Self> {
        let mut child = fork(|| {
            let act = prepare();
            // SAFETY: no memory is involved.
            let failed = unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) };
            if failed != 0 {
                return PANICKED;
            }
            trap();
            act();
            0
        })?;
        child.is_moving = true;
        match child.wait(None) {
            Stop::Stepped => {}
            _ => return Err(io::Error::other("a child cannot be traced here")),
        }
        // SAFETY: the tracee is stopped; the option is a number, in the place of an address.
        let failed =
            unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, child.pid, 0, libc::PTRACE_O_EXITKILL) };
        if failed != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(child)
    }

    /// Has the tracee execute one instruction. One that sleeps is not waited for: the next call goes on
    /// waiting.
    pub(crate) fn step(&mut self) -> Stop {
        self.order(libc::PTRACE_SINGLESTEP);
        self.wait(None)
    }

    /// Address of the instruction that the tracee, which is stopped, would execute next.
    pub(crate) fn place(&self) -> io::Result<u64> {
        // SAFETY: zeroes are a valid value of this C structure.
        let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
        let registers_at = &raw mut registers;
        // SAFETY: the tracee is stopped, and the structure is this function's.
        match unsafe { libc::ptrace(libc::PTRACE_GETREGS, self.pid, 0, registers_at) } {
            0 => Ok(registers.rip),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Has [`run`](Self::run) stop where the tracee would execute the instruction at `address`; `None`:
    /// nowhere.
    pub(crate) fn set_breakpoint(&self, address: Option<u64>) -> io::Result<()> {
        const REGISTERS: usize = std::mem::offset_of!(libc::user, u_debugreg);
        // Register 0 is an address, and bit 0 of register 7 says that it is to be executed.
        let writes = [(0, address.unwrap_or(0)), (7, u64::from(address.is_some()))];
        for (register, value) in writes {
            let place = REGISTERS + register * size_of::<u64>();
            // SAFETY: the tracee is stopped; both arguments are numbers.
            if unsafe { libc::ptrace(libc::PTRACE_POKEUSER, self.pid, place, value) } != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }

    /// As [`step`](Self::step), for a tracee that sleeps: until it has woken up, or for this long.
    pub(crate) fn wake(&mut self, limit: Duration) -> Stop {
        self.order(libc::PTRACE_SINGLESTEP);
        self.wait(Some(Instant::now() + limit))
    }

    /// As [`run`](Self::run), for a tracee that sleeps: until it has woken up, or for this long.
    pub(crate) fn run_on(&mut self, limit: Duration) -> Stop {
        self.order(libc::PTRACE_CONT);
        self.wait(Some(Instant::now() + limit))
    }

    /// Has the tracee run until it pauses, sleeps or ends.
    pub(crate) fn run(&mut self) -> Stop {
        self.order(libc::PTRACE_CONT);
        self.wait(None)
    }

    /// Has the tracee run until it ends; false if it has not after this long.
    pub(crate) fn finish(&mut self, limit: Duration) -> bool {
        self.order(libc::PTRACE_CONT);
        let end = Instant::now() + limit;
        loop {
            match self.wait(Some(end)) {
                // A step that was under way when it was told to run.
                Stop::Stepped => self.order(libc::PTRACE_CONT),
                stop => return stop == Stop::Ended,
            }
        }
    }

    fn order(&mut self, request: libc::c_uint) {
        if !self.is_moving {
            // SAFETY: the tracee is stopped; no memory is involved.
            unsafe { libc::ptrace(request, self.pid, 0, 0) };
            self.is_moving = true;
        }
    }

    /// Waits until the child stops or ends, or is asleep: at once, or still at `until`.
    fn wait(&mut self, until: Option<Instant>) -> Stop {
        if self.is_waited_for {
            return Stop::Ended;
        }
        loop {
            let mut status = 0;
            // SAFETY: the status is an integer of this function's. Children of a trace are waited for with
            // the same call.
            let pid = unsafe { libc::waitpid(self.pid, &raw mut status, libc::__WALL) };
            if pid == self.pid {
                self.is_moving = false;
                if libc::WIFSTOPPED(status) {
                    let is_trap = libc::WSTOPSIG(status) == libc::SIGTRAP;
                    return if is_trap { Stop::Stepped } else { Stop::Crashed };
                }
                self.is_waited_for = true;
                let is_clean = libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0;
                return if is_clean { Stop::Ended } else { Stop::Crashed };
            }
            // The alarm of `look_now_and_then` has gone off.
            let is_time = until.is_none_or(|until| Instant::now() >= until);
            if is_time && self.is_asleep() {
                return Stop::Asleep;
            }
        }
    }

    /// Whether the process sleeps on a futex.
    pub(crate) fn is_asleep(&self) -> bool {
        const FUTEX: &[u8] = b"202 ";
        let mut start = [0; FUTEX.len()];
        let file = File::open(format!("/proc/{}/syscall", self.pid));
        file.is_ok_and(|mut file| file.read_exact(&mut start).is_ok() && start == FUTEX)
    }

    /// Waits until a process that is not traced sleeps on a futex; false if it ends before, or does not.
    pub(crate) fn falls_asleep(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        while Instant::now() < end {
            if self.is_asleep() {
                return true;
            }
            if self.has_ended() {
                return false;
            }
            // It may need this processor.
            rustix::thread::sched_yield();
        }
        false
    }

    /// Whether the process has ended; it stays a zombie.
    pub(crate) fn has_ended(&self) -> bool {
        self.wait_for_end(libc::WNOHANG)
    }

    /// Waits until the process has ended, which stays a zombie; false if it has not at `until`.
    pub(crate) fn ends_by(&self, until: Instant) -> bool {
        loop {
            // Interrupted now and then by the alarm.
            if self.wait_for_end(0) {
                return true;
            }
            if Instant::now() >= until {
                return self.has_ended();
            }
        }
    }

    fn wait_for_end(&self, options: libc::c_int) -> bool {
        // SAFETY: zeroes are a valid value of this C structure.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        let options = libc::WEXITED | libc::WNOWAIT | options;
        // SAFETY: the structure is this function's.
        let failed = unsafe { libc::waitid(libc::P_PID, self.id(), &raw mut info, options) };
        // SAFETY: `waitid` has filled it in, or left the zero.
        failed == 0 && unsafe { info.si_pid() } == self.pid
    }

    /// Kills the process, which stays a zombie: its number is not given to another while others ask
    /// about it.
    pub(crate) fn kill(&self) {
        // SAFETY: it is a child that has not been waited for, so the number is still its own.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
        while !self.wait_for_end(0) {}
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.is_waited_for {
            self.kill();
            // SAFETY: no memory is involved.
            unsafe { libc::waitpid(self.pid, ptr::null_mut(), libc::__WALL) };
        }
    }
}

/// Interrupts this process's waits now and then, so that they can look whether a tracee sleeps. A fork
/// does not inherit that.
pub(crate) fn look_now_and_then() -> io::Result<()> {
    extern "C" fn nothing(_: libc::c_int) {}
    // SAFETY: zeroes are a valid value of this C structure: no flags, so waits are interrupted.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = nothing as *const () as usize;
    // SAFETY: the handler does nothing.
    if unsafe { libc::sigaction(libc::SIGALRM, &raw const action, ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let every = libc::timeval { tv_sec: 0, tv_usec: LOOK.as_micros() as libc::suseconds_t };
    let timer = libc::itimerval { it_interval: every, it_value: every };
    // SAFETY: the structure is this function's.
    if unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Where this program begins in memory, as all its forks have it; 0 if that cannot be told.
pub(crate) fn base_of_program() -> u64 {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let first = maps.split('-').next().unwrap_or_default();
    u64::from_str_radix(first, 16).unwrap_or(0)
}

/// The processors that this process may use.
pub(crate) fn cpus() -> io::Result<Vec<usize>> {
    let set = rustix::thread::sched_getaffinity(None)?;
    Ok((0..rustix::thread::CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect())
}

/// Keeps this process, and whom it forks, on one processor.
pub(crate) fn pin(cpu: usize) -> io::Result<()> {
    let mut set = rustix::thread::CpuSet::new();
    set.set(cpu);
    Ok(rustix::thread::sched_setaffinity(None, &set)?)
}

/// What may lie in shared memory that begins as zeroes.
///
/// # Safety
///
/// The type consists of atomic integers only.
pub(crate) unsafe trait Atomic: Sync {}

/// Shared memory of zeroes for as long as this process and its forks live.
pub(crate) fn shared<T: Atomic>(count: usize) -> io::Result<&'static [T]> {
    let (access, kind) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    let bytes = count * size_of::<T>();
    // SAFETY: a new mapping at an address that the kernel chooses.
    let base = unsafe { libc::mmap(ptr::null_mut(), bytes, access, kind, -1, 0) };
    if base == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a page is aligned for every type here, zeroes are valid atomics, and nobody unmaps it.
    Ok(unsafe { std::slice::from_raw_parts(base.cast::<T>(), count) })
}
