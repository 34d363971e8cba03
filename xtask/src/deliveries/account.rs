//! The ledgers of a queue, held against each other.

use super::ends::DELIVERIES;
use super::ledger::{Event, Note, sender_of};
use super::message::Kind;
use super::{SENDERS, WORKERS};
use crate::campaign::{Violation, ensure};
use std::collections::HashMap;

/// What happened to one message.
#[derive(Clone, Copy, Debug, Default)]
struct Fate {
    is_offered: bool,
    is_sent: bool,
    is_back: bool,
    got: u32,
    /// A bit for each number of deliveries with which it was received.
    deliveries: u16,
    settling: u32,
    settled: u32,
    /// The number of deliveries with which it was acknowledged.
    settled_at: u64,
}

/// What becomes of the messages of a queue.
#[derive(Debug, Default)]
pub(crate) struct Account(HashMap<u64, Fate>);

/// How often senders and receivers were killed.
#[derive(Clone, Copy, Debug, Default)]
struct Deaths {
    senders: u64,
    receivers: u64,
}

impl Account {
    /// Adds the notes of a worker.
    pub(crate) fn add(&mut self, worker: usize, notes: &[Note]) -> Result<(), Violation> {
        // A sender's messages arrive at a receiver in the order in which they were sent, the first time.
        let mut last = HashMap::new();
        for note in notes {
            let number = note.number;
            if note.event == Event::Joined {
                continue;
            }
            let fate = self.0.entry(number).or_default();
            match note.event {
                Event::Offer => fate.is_offered = true,
                Event::Sent => fate.is_sent = true,
                Event::Back => fate.is_back = true,
                Event::Joined => {}
                Event::Settling => fate.settling += 1,
                Event::Settled => {
                    fate.settled += 1;
                    fate.settled_at = note.deliveries;
                }
                Event::Got => {
                    fate.got += 1;
                    fate.deliveries |= 1 << note.deliveries;
                    if note.deliveries <= 1 {
                        let before = last.insert(sender_of(number), number);
                        ensure(before.is_none_or(|before| before <= number), || {
                            format!("receiver {worker} got message {number:#x} after {before:#x?}")
                        })?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether everything that was sent was received as the kind promises.
    pub(crate) fn check(&self, kind: Kind, killed: &[u64; WORKERS]) -> Result<String, Violation> {
        let deaths = |workers: &[u64]| workers.iter().sum::<u64>();
        let deaths =
            Deaths { senders: deaths(&killed[..SENDERS]), receivers: deaths(&killed[SENDERS..]) };
        let unfinished = |fate: &&Fate| !fate.is_sent && !fate.is_back;
        let unfinished = self.0.values().filter(unfinished).count() as u64;
        ensure(unfinished <= deaths.senders * kind.batch_max(), || {
            format!("{unfinished} sends unfinished, {} deaths of senders", deaths.senders)
        })?;
        for (number, fate) in &self.0 {
            let was_received = fate.got > 0 || fate.settling > 0;
            ensure(fate.is_offered && !(fate.is_back && was_received), || {
                let what = if fate.is_offered { "given back" } else { "never sent" };
                format!("message {number:#x} was received though it was {what}: {fate:?}")
            })?;
        }
        let sent = self.0.values().filter(|fate| fate.is_sent).count();
        let verdict = match kind {
            Kind::Acknowledged => self.check_settled(deaths)?,
            _ => self.check_received(deaths.receivers * kind.batch_max())?,
        };
        Ok(format!("{sent} acknowledged, {verdict}, {unfinished} unfinished by a dead sender"))
    }

    /// Each message was received once, but for what the dead took with them, so many at most.
    fn check_received(&self, lost_max: u64) -> Result<String, Violation> {
        let (mut got, mut lost) = (0, 0);
        for (number, fate) in &self.0 {
            ensure(fate.got <= 1, || format!("message {number:#x} was received twice: {fate:?}"))?;
            got += u64::from(fate.got);
            lost += u64::from(fate.is_sent && fate.got == 0);
        }
        ensure(lost <= lost_max, || {
            format!("{lost} acknowledged messages lost, of which {lost_max} may be")
        })?;
        Ok(format!("{got} received, 0 twice, {lost} lost with a dead receiver"))
    }

    /// Each message was acknowledged once, or its receiver died of that; and was never delivered after that, nor
    /// twice for the same time.
    fn check_settled(&self, deaths: Deaths) -> Result<String, Violation> {
        let (mut again, mut letters, mut cut) = (0, 0, 0);
        for (number, fate) in &self.0 {
            ensure(fate.got == fate.deliveries.count_ones(), || {
                format!("message {number:#x} was received twice for the same time: {fate:?}")
            })?;
            ensure(fate.settled <= 1, || {
                format!("message {number:#x} was settled twice: {fate:?}")
            })?;
            let is_late = fate.settled == 1 && fate.deliveries >> fate.settled_at > 1;
            ensure(!is_late && fate.deliveries >> DELIVERIES <= 1, || {
                format!("message {number:#x} came again after it was settled: {fate:?}")
            })?;
            ensure(!fate.is_sent || fate.settling > 0, || {
                format!("message {number:#x} is lost: {fate:?}")
            })?;
            again += u64::from(fate.got.saturating_sub(1));
            letters += u64::from(fate.settled > 0 && fate.settled_at == u64::from(DELIVERIES));
            cut += u64::from(fate.settling - fate.settled);
        }
        ensure(cut <= deaths.receivers, || {
            format!("{cut} acknowledgements cut off, {} deaths of receivers", deaths.receivers)
        })?;
        Ok(format!(
            "each settled once, 0 lost, {again} deliveries again, {letters} settled at the last or as a \
             dead letter, {cut} acknowledgements cut off by a death"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::Event::{Back, Got, Offer, Sent, Settled, Settling};
    use super::*;

    fn account(
        kind: Kind,
        sender: &[(Event, u64)],
        receiver: &[(Event, u64, u64)],
    ) -> Result<String, Violation> {
        let sent: Vec<_> =
            sender.iter().map(|(event, number)| Note::new(*event, *number)).collect();
        let note =
            |&(event, number, deliveries): &(Event, u64, u64)| Note { event, number, deliveries };
        let received: Vec<_> = receiver.iter().map(note).collect();
        let mut account = Account::default();
        account.add(0, &sent)?;
        account.add(SENDERS, &received)?;
        account.check(kind, &[0; WORKERS])
    }

    const BOTH: [(Event, u64); 4] = [(Offer, 1), (Sent, 1), (Offer, 2), (Sent, 2)];

    #[test]
    fn only_what_was_sent_and_received_once_and_in_order_is_sound() {
        let check = |sender: &[_], receiver: &[u64]| {
            let got: Vec<_> = receiver.iter().map(|number| (Got, *number, 0)).collect();
            account(Kind::Unique, sender, &got)
        };
        assert!(check(&BOTH, &[1, 2]).is_ok());
        for (wrong, received) in
            [("order", &[2, 1][..]), ("lost", &[1]), ("twice", &[1, 2, 2]), ("unsent", &[1, 2, 3])]
        {
            assert!(check(&BOTH, received).is_err(), "{wrong}");
        }
        assert!(check(&[(Offer, 1), (Back, 1)], &[]).is_ok());
        assert!(check(&[(Offer, 1), (Back, 1)], &[1]).is_err());
        assert!(check(&[(Offer, 1)], &[]).is_err(), "nobody died");
    }

    #[test]
    fn only_what_was_settled_once_and_never_came_after_that_is_sound() {
        let check = |notes: &[_]| account(Kind::Acknowledged, &BOTH, notes);
        let settled =
            |number, time| [(Got, number, time), (Settling, number, time), (Settled, number, time)];
        let [first, second] = [settled(1, 1), settled(2, 1)];
        assert!(check(&[first, second].concat()).is_ok());
        assert!(check(&[&[(Got, 1, 1)][..], &second, &settled(1, 2)].concat()).is_ok());
        for (wrong, notes) in [
            ("lost", &first[..]),
            ("not settled", &[&first[..], &second[..1]].concat()),
            ("cut off, and nobody died", &[&first[..], &second[..2]].concat()),
            ("settled twice", &[first, second, settled(1, 2)].concat()),
            ("again", &[&first[..], &second, &[(Got, 1, 2)]].concat()),
            ("twice for the same time", &[&first[..], &second, &[(Got, 1, 1)]].concat()),
            ("too often", &[&first[..], &settled(2, 4)].concat()),
        ] {
            assert!(check(notes).is_err(), "{wrong}");
        }
    }
}
