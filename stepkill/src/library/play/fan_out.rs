//! What broadcasts and latest-value cells have in common: messages that everybody may see.

use super::traffic::{IN_VAIN, NAME, SLOTS, VICTIMS, check_order, keep, make};
use crate::library::board::{Actor, Done, identify};
use crossdock::channel::{RecvError, RecvTimeoutError, SendError, broadcast, latest};
use crossdock::{Array, Error};
use std::ops::Range;
use std::time::Duration;

/// A sending end.
pub(super) trait Speaker: Sized {
    fn open() -> Result<Self, Error>;
    fn send(&self, array: Array<u64>) -> Result<(), SendError<Array<u64>>>;
}

/// A receiving end.
pub(super) trait Hearer: Sized {
    fn open() -> Result<Self, Error>;
    fn recv(&self) -> Result<Array<u64>, RecvError>;
    fn recv_timeout(&self, limit: Duration) -> Result<Array<u64>, RecvTimeoutError>;
}

impl Speaker for broadcast::Sender<Array<u64>> {
    fn open() -> Result<Self, Error> {
        Self::open(NAME)
    }

    fn send(&self, array: Array<u64>) -> Result<(), SendError<Array<u64>>> {
        self.send(array)
    }
}

impl Speaker for latest::Sender<Array<u64>> {
    fn open() -> Result<Self, Error> {
        Self::open(NAME)
    }

    fn send(&self, array: Array<u64>) -> Result<(), SendError<Array<u64>>> {
        self.send(array)
    }
}

impl Hearer for broadcast::Receiver<Array<u64>> {
    fn open() -> Result<Self, Error> {
        Self::open(NAME)
    }

    fn recv(&self) -> Result<Array<u64>, RecvError> {
        self.recv()
    }

    fn recv_timeout(&self, limit: Duration) -> Result<Array<u64>, RecvTimeoutError> {
        self.recv_timeout(limit)
    }
}

impl Hearer for latest::Receiver<Array<u64>> {
    fn open() -> Result<Self, Error> {
        Self::open(NAME)
    }

    fn recv(&self) -> Result<Array<u64>, RecvError> {
        self.recv()
    }

    fn recv_timeout(&self, limit: Duration) -> Result<Array<u64>, RecvTimeoutError> {
        self.recv_timeout(limit)
    }
}

/// A reader and what it has seen.
pub(super) struct Reader<R> {
    pub(super) rx: R,
    pub(super) seen: Vec<usize>,
}

impl<R: Hearer> Reader<R> {
    pub(super) fn new(rx: R) -> Self {
        Self { rx, seen: Vec::new() }
    }

    fn note(&mut self, array: &Array<u64>) -> Done {
        self.seen.push(identify(array)?);
        check_order(&self.seen)
    }

    pub(super) fn recv(&mut self) -> Done {
        let array = self.rx.recv()?;
        self.note(&array)
    }

    /// Receives until every sender has gone, or died and been noticed.
    pub(super) fn drain(&mut self) -> Done {
        loop {
            match self.rx.recv() {
                Ok(array) => self.note(&array)?,
                Err(RecvError::Disconnected) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Receives until nothing has come for so long.
    pub(super) fn settle(&mut self, limit: Duration) -> Done {
        loop {
            match self.rx.recv_timeout(limit) {
                Ok(array) => self.note(&array)?,
                Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Sends a message that is made already.
pub(super) fn post(a: Actor, tx: &impl Speaker, id: usize, array: Array<u64>) -> Done {
    a.sending(id);
    tx.send(array)?;
    a.sent(id);
    Ok(())
}

/// Makes the next message of a range and sends it.
pub(super) fn send(a: Actor, tx: &impl Speaker, ids: Range<usize>) -> Done {
    let id = a.next_id(ids);
    post(a, tx, id, make(id)?)
}

// What a victim does.

/// Dies of its second message.
pub(super) fn sends<S: Speaker>(a: Actor) -> Done {
    sends_after::<S>(a, 1)
}

/// Dies of a message that comes to the slot of its first one.
pub(super) fn sends_a_lap<S: Speaker>(a: Actor) -> Done {
    sends_after::<S>(a, SLOTS)
}

fn sends_after<S: Speaker>(a: Actor, count: usize) -> Done {
    let tx = S::open()?;
    for _ in 0..count {
        send(a, &tx, VICTIMS)?;
    }
    let id = a.next_id(VICTIMS);
    let message = make(id)?;
    a.begin();
    post(a, &tx, id, message)?;
    keep(tx)
}

pub(super) fn sends_a_clone<S: Speaker>(a: Actor) -> Done {
    let tx = S::open()?;
    send(a, &tx, VICTIMS)?;
    let id = a.next_id(VICTIMS);
    let message: Array<u64> = make(id)?;
    a.begin();
    post(a, &tx, id, message.clone())?;
    keep((tx, message))
}

// Who dies after that.

pub(super) fn receives_until_alone<R: Hearer>(a: Actor) -> Done {
    let mut reader = Reader::new(R::open()?);
    a.let_a_slice_pass();
    a.await_go();
    reader.drain()?;
    keep(reader.rx)
}

pub(super) fn receives_for_a_moment<R: Hearer>(a: Actor) -> Done {
    let mut reader = Reader::new(R::open()?);
    a.let_a_slice_pass();
    a.await_go();
    reader.settle(IN_VAIN)?;
    keep(reader.rx)
}
