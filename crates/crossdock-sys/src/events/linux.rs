//! `epoll(7)`.

use rustix::event::epoll;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use std::io;

/// Events that are fetched at once.
const BATCH: usize = 64;

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
        let mut events = Vec::with_capacity(BATCH);
        loop {
            match epoll::wait(&self.0, rustix::buffer::spare_capacity(&mut events), None) {
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
                Ok(_) => {}
            }
            if !events.is_empty() {
                return Ok(events.iter().map(|event| event.data.u64()).collect());
            }
        }
    }
}
