//! Senders and receivers of several messages in one call.

use super::ledger::Event;
use super::message::Parcel;
use super::worker::{SENT, Worker};
use crate::campaign::Violation;
use crossdock::ErrorKind;
use crossdock::channel::{Receiver, RecvError, Sender};
use std::time::Duration;

/// Once in so many turns one message is received the usual way.
const SINGLES_RARITY: u64 = 4;

impl<M: Parcel> Worker<'_, M> {
    /// Sends a batch: all of it, or if nobody is there to receive it any more, the first ones.
    pub(super) fn send_batch(&mut self, sender: &Sender<M>) -> Result<(), Violation> {
        if self.rests() {
            return Ok(());
        }
        let (mut messages, mut numbers) = (Vec::new(), Vec::new());
        for _ in 0..self.batch_len() {
            let (message, number) = self.new_message()?;
            self.ledger.note(Event::Offer, number)?;
            messages.push(message);
            numbers.push(number);
        }
        let back = match self.time(Duration::ZERO, || sender.send_many(messages)) {
            Ok(()) => Vec::new(),
            // All receivers are just being replaced.
            Err((back, error)) if error.kind() == ErrorKind::Disconnected => back,
            Err((_, error)) => return Err(Violation(format!("cannot send: {error:?}"))),
        };
        let (sent, unsent) = numbers.split_at(numbers.len() - back.len());
        for number in sent {
            self.ledger.note(Event::Sent, *number)?;
        }
        self.board.add(self.row, SENT, sent.len() as u64);
        for (message, number) in back.into_iter().zip(unsent) {
            self.ledger.note(Event::Back, *number)?;
            self.keep(message, *number);
        }
        Ok(())
    }

    /// Receives a batch. A receiver that waits for one waits as long as there are senders; so not at the end.
    pub(super) fn receive_batch(&mut self, receiver: &Receiver<M>) -> Result<(), Violation> {
        if self.drain() != 0 || self.rng.one_in(SINGLES_RARITY) {
            return self.receive(receiver);
        }
        let messages = match receiver.recv_many(self.batch_len()) {
            Ok(messages) | Err((messages, RecvError::Disconnected)) => messages,
            Err((_, error)) => return Err(Violation(format!("cannot receive: {error:?}"))),
        };
        messages.into_iter().try_for_each(|message| self.accept(message))
    }

    fn batch_len(&mut self) -> usize {
        1 + self.rng.below(self.args.kind.batch_max()) as usize
    }
}
