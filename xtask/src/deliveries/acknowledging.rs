//! A receiver that acknowledges, some time after it has received, or gives back.

use super::ends::Acknowledging;
use super::ledger::{Event, Note};
use super::message::{Parcel, Words, number_of};
use super::worker::{Sabotage, Worker};
use crate::campaign::Violation;
use crossdock::channel::{Delivery, Receiver};

/// Once in so many turns the dead letters are read.
const LETTERS_RARITY: u64 = 8;

impl<M: Parcel> Worker<'_, Delivery<M>>
where
    Delivery<M>: Words,
{
    pub(super) fn deliver(&mut self, receiver: &Receiver<M>) -> Result<(), Violation> {
        let drain = self.drain();
        if drain != 0 {
            for (delivery, number) in std::mem::take(&mut self.kept) {
                self.settle(delivery, number)?;
            }
        }
        if drain != 0 || self.rng.one_in(LETTERS_RARITY) {
            self.settle_letters(receiver)?;
        }
        let Some(delivery) = self.receive_any_way(&Acknowledging(receiver), drain == 2)? else {
            self.count(false, drain == 2);
            return Ok(());
        };
        let number = number_of(delivery.words()).map_err(Violation)?;
        let deliveries = delivery.deliveries();
        self.ledger.write(Note { event: Event::Got, number, deliveries })?;
        self.count(true, false);
        if self.rng.one_in(2) {
            return self.settle(delivery, number);
        }
        if let Some((delivery, number)) = self.displaced() {
            if self.rng.one_in(4) {
                delivery.give_back();
            } else {
                self.settle(delivery, number)?;
            }
        }
        self.kept.push((delivery, number));
        Ok(())
    }

    fn settle(&mut self, delivery: Delivery<M>, number: u64) -> Result<(), Violation> {
        let deliveries = delivery.deliveries();
        let is_noted = !self.spoils(Sabotage::Lose);
        if is_noted {
            self.ledger.write(Note { event: Event::Settling, number, deliveries })?;
        }
        let acknowledged = delivery.acknowledge();
        let mut message = acknowledged
            .map_err(|error| format!("cannot acknowledge message {number}: {error:?}"))?;
        if is_noted {
            self.ledger.write(Note { event: Event::Settled, number, deliveries })?;
        }
        // Nobody else has it now.
        message.scribble(number);
        Ok(())
    }

    fn settle_letters(&mut self, receiver: &Receiver<M>) -> Result<(), Violation> {
        for letter in receiver.dead_letters() {
            let letter = letter.map_err(|error| format!("cannot read a dead letter: {error:?}"))?;
            let number = number_of(letter.words()).map_err(Violation)?;
            self.settle(letter, number)?;
        }
        Ok(())
    }
}
