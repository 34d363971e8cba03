//! A message on its way: words that travel, and the holds that go with them.
//!
//! | words | what |
//! |---|---|
//! | 1, in a channel whose messages vary | [`Parts`] |
//! | 7 or 13 for each array, 1 where there is none | a [`Ticket`], or [`NO_TICKET`] |
//! | as many as the type's bytes need | the records, one after the other, unaligned ([`Bytes`]) |
//!
//! Parcels are large and stay where they are made: on the stack of the call that sends or receives.

use super::bytes::Bytes;
use super::message::Message;
use crate::arena::lease::Lease;
use crate::arena::map::Region;
use crate::error::{Error, Result};
use arrayvec::ArrayVec;
use crossdock_core::Corrupt;
use crossdock_core::element::DType;
use crossdock_core::ring::{SHORT_WORDS, Words};
use crossdock_core::settings::{ARRAYS_MAX, Parts, Settings};
use crossdock_core::ticket::{NO_TICKET, Ticket};
use std::sync::Arc;

/// A message that is to be sent.
#[derive(Debug, Default)]
pub(crate) struct Parcel<'m> {
    /// The tickets, and behind them the records, if there are tickets.
    words: Words,
    /// What it hands over.
    pub(super) arrays: ArrayVec<Outgoing<'m>, ARRAYS_MAX>,
    records: Bytes,
}

/// An array of a message that is to be sent: what its ticket says that matters to the sender.
#[derive(Debug)]
pub(super) struct Outgoing<'m> {
    pub(super) lease: &'m Arc<Lease>,
    pub(super) is_sole: bool,
    pub(super) dtype: DType,
    pub(super) len_bytes: u64,
}

impl<'m> Parcel<'m> {
    /// Fills an empty parcel with a message.
    #[inline]
    pub(super) fn fill<M: Message>(&mut self, message: &'m M) -> Result<()> {
        message.pack(self)?;
        if !self.words.is_empty() && !self.records.words().is_empty() {
            // The type has been checked to have no more than fits.
            let _ = self.words.try_extend_from_slice(self.records.words());
        }
        Ok(())
    }

    /// What travels.
    #[inline]
    pub(super) fn words(&self) -> &[u64] {
        if self.words.is_empty() { self.records.words() } else { &self.words }
    }

    /// Begins a message that says what parts it has. They follow.
    #[cfg(feature = "process")]
    pub(crate) fn begin(&mut self, parts: Parts) {
        self.words.push(parts.to_word());
    }

    /// Adds an array. The type has been checked to have no more than fit.
    #[inline]
    pub(crate) fn add_array(&mut self, ticket: &Ticket, lease: &'m Arc<Lease>) {
        let (words, used) = ticket.to_words();
        let _ = match words.first_chunk::<SHORT_WORDS>() {
            // Of a length that is known here.
            Some(words) if used == SHORT_WORDS => self.words.try_extend_from_slice(words),
            _ => self.words.try_extend_from_slice(&words[..used]),
        };
        let Ticket { is_sole, dtype, len_bytes, .. } = *ticket;
        self.arrays.push(Outgoing { lease, is_sole, dtype, len_bytes });
    }

    /// Adds the place of an array that is not there.
    pub(super) fn add_no_array(&mut self) {
        self.words.push(NO_TICKET);
    }

    /// Adds bytes of a record.
    #[inline]
    pub(crate) fn add_bytes(&mut self, bytes: &[u8]) {
        self.records.append(bytes);
    }
}

/// An array of a message that is being received, where it was found.
#[derive(Debug)]
struct Sighted {
    ticket: Ticket,
    /// Until it is opened.
    region: Option<Arc<Region>>,
    /// From then on.
    lease: Option<Arc<Lease>>,
}

/// An array that has been taken, and the hold that came with it.
#[derive(Debug)]
pub(crate) struct Received<'i> {
    pub(crate) ticket: &'i Ticket,
    pub(crate) lease: Arc<Lease>,
}

/// What parts a message has, and the words behind those that say so.
#[inline]
fn split_parts<'w>(words: &'w [u64], settings: &Settings) -> Result<(Parts, &'w [u64]), Corrupt> {
    let Settings { arrays, record_bytes, is_varied, .. } = *settings;
    if !is_varied {
        return Ok((Parts { arrays, is_long: false, bytes: record_bytes }, words));
    }
    let split = words.split_first();
    split
        .and_then(|(word, rest)| Some((Parts::from_word(*word, settings)?, rest)))
        .ok_or(Corrupt("a message has other parts than its channel allows"))
}

/// Calls `visit` with the ticket of each array of a message, and returns its parts and the words behind the tickets.
#[inline]
pub(crate) fn for_each_ticket<'w>(
    words: &'w [u64],
    settings: &Settings,
    mut visit: impl FnMut(Option<Ticket>) -> Result<()>,
    corrupt: impl Fn(Corrupt) -> Error,
) -> Result<(Parts, &'w [u64])> {
    let (parts, mut words) = split_parts(words, settings).map_err(&corrupt)?;
    for _ in 0..usize::from(parts.arrays).min(ARRAYS_MAX) {
        if let Some((&NO_TICKET, rest)) = words.split_first() {
            visit(None)?;
            words = rest;
        } else {
            let (ticket, rest) = Ticket::split_from(words).map_err(&corrupt)?;
            visit(Some(ticket))?;
            words = rest;
        }
    }
    Ok((parts, words))
}

/// The tickets of a message, as many as make sense.
pub(crate) fn tickets(words: &[u64], settings: &Settings) -> ArrayVec<Ticket, ARRAYS_MAX> {
    let mut tickets = ArrayVec::new();
    let add = |ticket: Option<Ticket>| {
        tickets.extend(ticket);
        Ok(())
    };
    // Who wants to know what is wrong with a message receives it.
    let _ = for_each_ticket(words, settings, add, |why| Error::corrupt("a message", why));
    tickets
}

const WRONG_LENGTH: Corrupt = Corrupt("a message has another length than its type");

/// A message that is being received.
///
/// First it is *sighted*: what it leads to is mapped and its records are copied, while it still is in the channel.
/// Then it is taken, and *opened*: the arrays become this process's own.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    arrays: ArrayVec<Option<Sighted>, ARRAYS_MAX>,
    next: usize,
    records: Bytes,
    parts: Parts,
}

impl Inbox {
    /// Reads the words of a message; `locate` finds the memory of each array.
    #[inline]
    pub(super) fn sight(
        &mut self,
        words: &[u64],
        settings: &Settings,
        corrupt: impl Fn(Corrupt) -> Error,
        locate: impl Fn(&Ticket) -> Result<Arc<Region>>,
    ) -> Result<()> {
        self.arrays.clear();
        self.next = 0;
        let arrays = &mut self.arrays;
        let add = |ticket: Option<Ticket>| {
            let sight = |ticket| -> Result<Sighted> {
                let region = Some(locate(&ticket)?);
                Ok(Sighted { ticket, region, lease: None })
            };
            arrays.push(ticket.map(sight).transpose()?);
            Ok(())
        };
        let (parts, rest) = for_each_ticket(words, settings, add, &corrupt)?;
        self.parts = parts;
        let copy = |words: &mut [u64]| words.copy_from_slice(rest);
        self.records
            .fill(rest.len(), usize::from(parts.bytes), copy)
            .ok_or_else(|| corrupt(WRONG_LENGTH))
    }

    /// Reads a message of so many words without arrays; `copy` gets the words.
    #[inline]
    pub(super) fn sight_records(
        &mut self,
        words: usize,
        settings: &Settings,
        copy: impl FnOnce(&mut [u64]),
        corrupt: impl Fn(Corrupt) -> Error,
    ) -> Result<()> {
        let bytes = usize::from(settings.record_bytes);
        self.records.fill(words, bytes, copy).ok_or_else(|| corrupt(WRONG_LENGTH))
    }

    /// Makes the arrays of a message that was sighted this process's own, by `adopt`.
    #[inline]
    pub(super) fn open(
        &mut self,
        mut adopt: impl FnMut(&Ticket, Arc<Region>) -> Result<Arc<Lease>>,
    ) -> Result<()> {
        let mut outcome = Ok(());
        for array in self.arrays.iter_mut().flatten() {
            // Each hold has to be dealt with, whatever became of the others.
            if let Some(region) = array.region.take() {
                match adopt(&array.ticket, region) {
                    Ok(lease) => array.lease = Some(lease),
                    Err(error) => outcome = Err(error),
                }
            }
        }
        if outcome.is_err() {
            self.arrays.clear();
        }
        outcome
    }

    /// Forgets a message that turned out to be gone.
    pub(super) fn discard(&mut self) {
        *self = Self::default();
    }

    /// What parts the message has.
    #[cfg(feature = "process")]
    pub(crate) fn parts(&self) -> Parts {
        self.parts
    }

    /// The next array, if there is one in its place.
    #[inline]
    pub(crate) fn next_array(&mut self) -> Option<Received<'_>> {
        self.next += 1;
        let Sighted { ticket, lease, .. } = self.arrays.get_mut(self.next - 1)?.as_mut()?;
        Some(Received { ticket, lease: lease.take()? })
    }

    /// The next bytes of the records.
    #[inline]
    pub(crate) fn next_bytes(&mut self, count: usize) -> Option<&[u8]> {
        self.records.next(count)
    }
}
