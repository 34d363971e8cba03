//! The ledgers of a broadcast, held against each other.
//!
//! What a receiver heard of a sender in one life is a part without gaps of what that sender sent, in all of its
//! lives; it may lack, or have, what the sender was just sending when it was killed. In its last life, which
//! nobody cut short, it is the end of that. Who was there through it all, the last worker, heard all of it, and
//! whatever anybody heard.

use super::SENDERS;
use super::ledger::{Event, Note, sender_of};
use crate::campaign::{Violation, ensure};
use std::collections::HashSet;

/// One life of a receiver: what it heard, in order.
type Life = Vec<u64>;

/// What a sender sent, in order, and for each message whether its send has returned.
type Speech = Vec<(u64, bool)>;

/// Who heard what.
#[derive(Debug, Default)]
pub(crate) struct Hearing {
    speeches: Vec<Speech>,
    receivers: Vec<Vec<Life>>,
}

impl Hearing {
    /// Adds the notes of the next worker; senders come first.
    pub(crate) fn add(&mut self, notes: &[Note]) -> Result<(), Violation> {
        if self.speeches.len() < SENDERS {
            self.speeches.push(speech(notes));
            return Ok(());
        }
        let mut lives: Vec<Life> = Vec::new();
        for note in notes {
            match (note.event, lives.last_mut()) {
                (Event::Joined, _) => lives.push(Life::new()),
                (Event::Got, Some(life)) => life.push(note.number),
                _ => return Err(Violation(format!("a receiver noted {note:?}"))),
            }
        }
        self.receivers.push(lives);
        Ok(())
    }

    /// Whether everybody heard what it should have; `killed` is how often senders were.
    pub(crate) fn check(&self, killed: u64) -> Result<String, Violation> {
        let unfinished = self.speeches.iter().flatten().filter(|(_, is_sent)| !is_sent).count();
        ensure(unfinished as u64 <= killed, || {
            format!("{unfinished} sends unfinished, {killed} deaths of senders")
        })?;
        let (mut lives, mut heard) = (0, 0);
        for (receiver, all) in self.receivers.iter().enumerate() {
            let is_witness = receiver + 1 == self.receivers.len();
            for (number, life) in all.iter().enumerate() {
                let is_last = number + 1 == all.len();
                for (sender, speech) in self.speeches.iter().enumerate() {
                    let of_one = life.iter().filter(|number| sender_of(**number) == sender as u64);
                    let of_one: Vec<u64> = of_one.copied().collect();
                    part_of(speech, &of_one, is_witness, is_last).map_err(|why| {
                        let worker = SENDERS + receiver;
                        Violation(format!("receiver {worker}, sender {sender}: {why}"))
                    })?;
                }
                lives += 1;
                heard += life.len();
            }
        }
        let sent = self.speeches.iter().flatten().filter(|(_, is_sent)| *is_sent).count();
        let witness = self.check_witness()?;
        Ok(format!(
            "{sent} acknowledged, {witness} heard by who was there through it all, {heard} receives in {lives} \
             lives, 0 twice, 0 missed, {unfinished} unfinished by a dead sender"
        ))
    }

    /// Whether the last receiver lived once, and heard what anybody heard; how much that is.
    fn check_witness(&self) -> Result<usize, Violation> {
        let Some(([witness], others)) =
            self.receivers.split_last().map(|(it, rest)| (&it[..], rest))
        else {
            return Err(Violation("nobody was there through it all".to_owned()));
        };
        let heard: HashSet<u64> = witness.iter().copied().collect();
        let unheard = others.iter().flatten().flatten().find(|number| !heard.contains(number));
        ensure(unheard.is_none(), || {
            format!("message {unheard:#x?} was heard, but not by who was there through it all")
        })?;
        Ok(witness.len())
    }
}

fn speech(notes: &[Note]) -> Speech {
    let mut speech = Speech::new();
    for note in notes {
        match note.event {
            Event::Offer => speech.push((note.number, false)),
            Event::Sent => speech.last_mut().into_iter().for_each(|(_, is_sent)| *is_sent = true),
            // It must not be heard.
            Event::Back => drop(speech.pop()),
            Event::Got | Event::Joined | Event::Settling | Event::Settled => {}
        }
    }
    speech
}

/// Whether `heard` is a part of a speech without gaps; its beginning and its end as well, if it has to have those.
fn part_of(speech: &Speech, heard: &[u64], has_begin: bool, has_end: bool) -> Result<(), String> {
    let Some(first) = heard.first() else {
        let is_silent = !speech.iter().any(|(_, is_sent)| *is_sent);
        return if is_silent || !has_begin { Ok(()) } else { Err("nothing heard".to_owned()) };
    };
    // The numbers of a sender only grow.
    let begin = if has_begin { 0 } else { speech.partition_point(|(number, _)| number < first) };
    let mut heard = heard.iter().peekable();
    for (number, is_sent) in &speech[begin..] {
        match heard.next_if_eq(&number) {
            Some(_) => {}
            None if heard.peek().is_none() && !has_end => break,
            None if *is_sent => {
                let next = heard.peek();
                return Err(format!("message {number:#x} is missing, before {next:#x?}"));
            }
            None => {}
        }
    }
    match heard.next() {
        Some(number) => Err(format!("message {number:#x} was heard twice, or never sent")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::Event::{Back, Got, Joined, Offer, Sent};
    use super::*;

    /// Sender 0 sends 1, 2 and 3, and 4 comes back; `cut` was never finished.
    fn check(cut: Option<u64>, lives: &[&[u64]], witness: &[u64]) -> bool {
        let mut hearing = Hearing::default();
        let note = |(event, number)| Note::new(event, number);
        let sent = [1, 2, 3].into_iter().flat_map(|number| [(Offer, number), (Sent, number)]);
        let sent = sent.chain([(Offer, 4), (Back, 4)]).chain(cut.map(|number| (Offer, number)));
        let sent: Vec<_> = sent.map(note).collect();
        let life = |numbers: &[u64]| {
            let got = numbers.iter().map(|number| (Got, *number));
            [(Joined, 1)].into_iter().chain(got).map(note).collect::<Vec<_>>()
        };
        let lives: Vec<_> = lives.iter().flat_map(|numbers| life(numbers)).collect();
        [sent, Vec::new(), lives, life(witness)].iter().all(|notes| hearing.add(notes).is_ok())
            && hearing.check(cut.iter().count() as u64).is_ok()
    }

    #[test]
    fn a_life_hears_a_part_without_gaps_and_the_last_one_the_end() {
        assert!(check(None, &[&[1, 2, 3]], &[1, 2, 3]));
        assert!(check(None, &[&[1], &[2], &[]], &[1, 2, 3]));
        assert!(check(None, &[&[1, 2], &[2, 3]], &[1, 2, 3]));
        for (wrong, lives) in [
            ("a gap", &[&[1, 3][..]][..]),
            ("no end", &[&[2]]),
            ("order", &[&[1, 3, 2, 3]]),
            ("twice", &[&[1, 2, 2, 3]]),
            ("given back", &[&[2, 3, 4]]),
            ("never sent", &[&[2, 3, 9]]),
        ] {
            assert!(!check(None, lives, &[1, 2, 3]), "{wrong}");
        }
        assert!(!check(None, &[&[3]], &[2, 3]), "the witness hears the beginning");
        assert!(!check(None, &[&[3]], &[]), "the witness hears all");
    }

    #[test]
    fn what_a_dead_sender_was_sending_may_be_heard_or_not() {
        assert!(check(Some(5), &[&[3, 5]], &[1, 2, 3, 5]));
        assert!(check(Some(5), &[&[3]], &[1, 2, 3]));
        assert!(!check(Some(5), &[&[2, 5]], &[1, 2, 3, 5]));
        assert!(!check(Some(5), &[&[3, 5]], &[1, 2, 3]), "it is for all or for nobody");
    }
}
