//! futex(2) without `FUTEX_PRIVATE_FLAG`, with absolute `CLOCK_MONOTONIC` deadlines.

use crate::clock::Deadline;
use rustix::fs::Timespec;
use rustix::io::Errno;
use rustix::thread::futex;
use rustix::time::ClockId;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

/// Words that [`wait_any`] sleeps on; it looks at further ones every millisecond.
#[doc(alias = "FUTEX_WAITV_MAX")]
pub const WAIT_WORDS_MAX: usize = 128;

/// How often [`wait_any`] looks at the words that it cannot sleep on.
const LOOK: Duration = Duration::from_millis(1);

/// Sleeps while `word` is `expected`, until a wake-up, the deadline, or no reason at all.
///
/// The caller re-reads the word in every case: wake-ups may be spurious and a signal ends the sleep.
#[doc(alias = "FUTEX_WAIT_BITSET")]
pub fn wait(word: &AtomicU32, expected: u32, deadline: Deadline) {
    let until = timespec(deadline);
    // EAGAIN (the word has changed), EINTR and ETIMEDOUT all mean the same: look again.
    let _ =
        futex::wait_bitset(word, futex::Flags::empty(), expected, Some(&until), NonZeroU32::MAX);
}

/// Sleeps while every word is as expected, until a wake-up on any of them, the deadline, or no reason at
/// all.
///
/// The caller re-reads the words in every case. One sleep may use up wake-ups on several of the words: who
/// has acted on one hands those of the others on.
///
/// A kernel before 5.16, or one that is told to refuse `futex_waitv`, sleeps on the first word only. The
/// others, and those beyond [`WAIT_WORDS_MAX`], are looked at every millisecond.
#[doc(alias = "futex_waitv")]
#[expect(single_use_lifetimes, reason = "the compiler wants it to have a name")]
pub fn wait_any<'a>(words: impl Iterator<Item = (&'a AtomicU32, u32)> + Clone, deadline: Deadline) {
    static HAS_WAITV: AtomicBool = AtomicBool::new(true);
    if HAS_WAITV.load(Ordering::Relaxed) {
        if wait_in_turns(words.clone(), deadline, WAIT_WORDS_MAX, waitv) {
            return;
        }
        HAS_WAITV.store(false, Ordering::Relaxed);
    }
    wait_in_turns(words, deadline, 1, wait_first);
}

/// How a sleep ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sleep {
    /// Somebody woke it, a word had changed, or a signal came.
    Woken,
    /// The time was over, or it cannot be told.
    Over,
    /// The kernel does not sleep on several words.
    Unsupported,
}

/// Sleeps on the first `asleep_max` words with `sleep`, and looks at the others in between. False when the
/// kernel cannot.
#[expect(single_use_lifetimes, reason = "the compiler wants it to have a name")]
fn wait_in_turns<'a>(
    words: impl Iterator<Item = (&'a AtomicU32, u32)> + Clone,
    deadline: Deadline,
    asleep_max: usize,
    sleep: impl Fn(&[(&AtomicU32, u32)], Deadline) -> Sleep,
) -> bool {
    let nobody = AtomicU32::new(0);
    let mut slept_on = [(&nobody, 0); WAIT_WORDS_MAX];
    let mut count = 0;
    for (place, word) in slept_on.iter_mut().zip(words.clone().take(asleep_max)) {
        *place = word;
        count += 1;
    }
    // Without any words, until the deadline.
    let slept_on = &slept_on[..count.max(1)];
    let has_more = words.clone().nth(asleep_max).is_some();
    loop {
        let until = if has_more { deadline.within(LOOK) } else { deadline };
        let end = sleep(slept_on, until);
        if end == Sleep::Unsupported {
            return false;
        }
        let mut words = words.clone();
        if end == Sleep::Woken
            || !has_more
            || words.any(|(word, expected)| word.load(Ordering::Acquire) != expected)
            || deadline.is_past()
        {
            return true;
        }
    }
}

/// One sleep on all of at most [`WAIT_WORDS_MAX`] words.
fn waitv(words: &[(&AtomicU32, u32)], deadline: Deadline) -> Sleep {
    if let [_] = words {
        return wait_first(words, deadline);
    }
    let mut waits = [futex::Wait::new(); WAIT_WORDS_MAX];
    for (wait, (word, expected)) in waits.iter_mut().zip(words) {
        wait.val = u64::from(*expected);
        wait.uaddr = futex::WaitPtr::new(word.as_ptr().cast());
        wait.flags = futex::WaitFlags::SIZE_U32;
    }
    let waits = &waits[..words.len()];
    let until = timespec(deadline);
    match futex::waitv(waits, futex::WaitvFlags::empty(), Some(&until), ClockId::Monotonic) {
        Ok(_) | Err(Errno::AGAIN | Errno::INTR) => Sleep::Woken,
        // A container's filter may refuse what it does not know.
        Err(Errno::NOSYS | Errno::PERM) => Sleep::Unsupported,
        Err(Errno::TIMEDOUT) => Sleep::Over,
        // Out of memory, say: there must be a sleep, or the caller would spin.
        Err(_) => wait_first(words, deadline.within(LOOK)),
    }
}

/// One sleep on the first word.
fn wait_first(words: &[(&AtomicU32, u32)], deadline: Deadline) -> Sleep {
    if let Some((word, expected)) = words.first() {
        wait(word, *expected, deadline);
    }
    // A wake-up without a change would go unnoticed here; those who wake change the word first.
    Sleep::Over
}

fn timespec(deadline: Deadline) -> Timespec {
    let nanos = deadline.as_nanos();
    Timespec {
        tv_sec: i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(nanos % 1_000_000_000).unwrap_or(0),
    }
}

/// Wakes at most one sleeper; says whether there was one.
#[doc(alias = "FUTEX_WAKE")]
pub fn wake_one(word: &AtomicU32) -> bool {
    futex::wake(word, futex::Flags::empty(), 1).unwrap_or(0) > 0
}

/// Wakes every sleeper; says whether there was one.
#[doc(alias = "FUTEX_WAKE")]
pub fn wake_all(word: &AtomicU32) -> bool {
    futex::wake(word, futex::Flags::empty(), i32::MAX.unsigned_abs()).unwrap_or(0) > 0
}

#[cfg(test)]
#[allow(unsafe_code, reason = "fork, for a waker in another process")]
mod tests {
    use super::*;
    use crate::file;
    use crate::map::{Access, Mapping};
    use std::thread;

    /// Never reached by a correct program.
    const PATIENCE: Duration = Duration::from_secs(60);
    const NONE: [u32; 3] = [0; 3];

    fn of<'a>(words: &'a [AtomicU32], expected: &[u32]) -> Vec<(&'a AtomicU32, u32)> {
        words.iter().zip(expected.iter().copied()).collect()
    }

    fn wait_any(words: &[(&AtomicU32, u32)], deadline: Deadline) {
        super::wait_any(words.iter().copied(), deadline);
    }

    /// As [`wait_any`] on a kernel that cannot.
    fn wait_any_without_waitv(words: &[(&AtomicU32, u32)], deadline: Deadline) {
        assert!(wait_in_turns(words.iter().copied(), deadline, 1, wait_first));
    }

    #[test]
    fn a_wake_up_on_any_word_ends_the_sleep() {
        for index in 0..NONE.len() {
            let words = NONE.map(AtomicU32::new);
            let deadline = Deadline::after(PATIENCE);
            thread::scope(|scope| {
                scope.spawn(|| {
                    // No word ever changes: only a sleeper can be woken.
                    while !wake_one(&words[index]) {
                        thread::yield_now();
                    }
                });
                wait_any(&of(&words, &NONE), deadline);
            });
            assert!(!deadline.is_past(), "word {index}");
        }
    }

    #[test]
    fn another_process_that_maps_the_words_elsewhere_wakes() {
        let file = file::anonymous("words").unwrap();
        file::reserve(&file, 0, 4096).unwrap();
        let maps = [(); 2].map(|()| Mapping::new(&file, 4096, Access::ReadWrite).unwrap());
        // SAFETY: the page lives as long as the mappings, is aligned, and is used as atomics only.
        let [ours, theirs] = [&maps[0], &maps[1]].map(|map| unsafe {
            let words: *const [AtomicU32; 2] = map.as_ptr().cast();
            &*words
        });
        for (index, word) in theirs.iter().enumerate() {
            // SAFETY: the child makes system calls and ends without unwinding.
            let pid = unsafe { libc::fork() };
            assert!(pid >= 0, "fork failed");
            if pid == 0 {
                while !wake_one(word) {
                    thread::yield_now();
                }
                // SAFETY: ends the child at once.
                unsafe { libc::_exit(0) };
            }
            let deadline = Deadline::after(PATIENCE);
            wait_any(&of(ours, &[0, 0]), deadline);
            assert!(!deadline.is_past(), "word {index}");
            let mut status = -1;
            // SAFETY: `pid` is this process's child and `status` is writable.
            let ended = unsafe { libc::waitpid(pid, &raw mut status, 0) };
            assert_eq!((ended, status), (pid, 0));
        }
    }

    #[test]
    fn a_word_that_has_changed_before_ends_the_sleep() {
        let words = [0, 1, 0].map(AtomicU32::new);
        for wait_any in [wait_any, wait_any_without_waitv] {
            let deadline = Deadline::after(PATIENCE);
            wait_any(&of(&words, &NONE), deadline);
            assert!(!deadline.is_past());
        }
    }

    #[test]
    fn the_sleep_ends_with_its_time_and_not_before() {
        let words = NONE.map(AtomicU32::new);
        for words in [of(&words, &NONE), of(&words[..1], &NONE), Vec::new()] {
            for wait_any in [wait_any, wait_any_without_waitv] {
                let deadline = Deadline::after(Duration::from_millis(5));
                wait_any(&words, deadline);
                assert!(deadline.is_past());
                wait_any(&words, deadline);
            }
        }
    }

    #[test]
    fn words_that_cannot_be_slept_on_are_looked_at() {
        let words: Vec<_> = (0..WAIT_WORDS_MAX + 2).map(|_| AtomicU32::new(0)).collect();
        let expected = vec![0; words.len()];
        for wait_any in [wait_any, wait_any_without_waitv] {
            for index in [1, WAIT_WORDS_MAX, WAIT_WORDS_MAX + 1] {
                let deadline = Deadline::after(PATIENCE);
                thread::scope(|scope| {
                    scope.spawn(|| {
                        words[index].store(1, Ordering::Release);
                        wake_all(&words[index]);
                    });
                    while words[index].load(Ordering::Acquire) == 0 {
                        wait_any(&of(&words, &expected), deadline);
                        assert!(!deadline.is_past(), "word {index}");
                    }
                });
                words[index].store(0, Ordering::Release);
            }
        }
    }
}
