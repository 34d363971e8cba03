//! `epoll(7)`.

use crate::clock::{Deadline, now_ns};
use rustix::event::{Timespec, epoll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use std::io;
use std::time::Duration;

/// Events that are fetched at once.
const BATCH: usize = 64;
/// The longest single wait: the kernel may count milliseconds in 31 bits.
const WAIT_MAX: Duration = Duration::from_secs(1000);

/// A set of files, each with a key, and a way to wait for those that can be read or have ended.
#[derive(Debug)]
pub struct Events(OwnedFd);

impl Events {
    /// An empty set.
    ///
    /// # Errors
    ///
    /// No descriptor left.
    #[doc(alias = "epoll_create")]
    pub fn new() -> io::Result<Self> {
        Ok(Self(epoll::create(epoll::CreateFlags::CLOEXEC)?))
    }

    /// Adds a file, also while another thread waits. It is reported each time while it is ready.
    ///
    /// # Errors
    ///
    /// No memory left.
    pub fn add(&self, file: impl AsFd, key: u64) -> io::Result<()> {
        let data = epoll::EventData::new_u64(key);
        Ok(epoll::add(&self.0, file, data, epoll::EventFlags::IN)?)
    }

    /// As [`add`](Self::add), but the file is reported once.
    ///
    /// # Errors
    ///
    /// No memory left.
    pub fn add_once(&self, file: impl AsFd, key: u64) -> io::Result<()> {
        let data = epoll::EventData::new_u64(key);
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ONESHOT;
        Ok(epoll::add(&self.0, file, data, flags)?)
    }

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// It is not there.
    pub fn remove(&self, file: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.0, file)?)
    }

    /// Waits for at least one file; the keys of those that are ready.
    ///
    /// # Errors
    ///
    /// That of the system call.
    pub fn wait(&self) -> io::Result<Vec<u64>> {
        self.wait_until(None)
    }

    /// As [`wait`](Self::wait), but until a deadline at most: no keys when it has passed.
    ///
    /// # Errors
    ///
    /// That of the system call.
    pub fn wait_until(&self, deadline: Option<Deadline>) -> io::Result<Vec<u64>> {
        let mut events = Vec::with_capacity(BATCH);
        loop {
            let left = deadline.map(timespec_until);
            match epoll::wait(&self.0, rustix::buffer::spare_capacity(&mut events), left.as_ref()) {
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
                Ok(_) => {}
            }
            if !events.is_empty() || deadline.is_some_and(Deadline::is_past) {
                return Ok(events.iter().map(|event| event.data.u64()).collect());
            }
        }
    }
}

fn timespec_until(deadline: Deadline) -> Timespec {
    let left = Duration::from_nanos(deadline.as_nanos().saturating_sub(now_ns())).min(WAIT_MAX);
    Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_wait_ends_with_a_file_that_is_ready_or_at_its_deadline() {
        let events = Events::new().unwrap();
        let (heard, mut bell) = std::io::pipe().unwrap();
        events.add(&heard, 7).unwrap();
        let deadline = Deadline::after(Duration::from_millis(2));
        assert!(events.wait_until(Some(deadline)).unwrap().is_empty());
        assert!(deadline.is_past());
        bell.write_all(&[0]).unwrap();
        assert_eq!(
            events.wait_until(Some(deadline)).unwrap(),
            [7],
            "it is looked at once at least"
        );
        assert_eq!(events.wait_until(Some(Deadline::after(Duration::MAX))).unwrap(), [7]);
    }
}
