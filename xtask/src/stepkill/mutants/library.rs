//! Bugs of channels, and of who puts right what the dead left.

use super::Mutant;

pub(super) const MUTANTS: [Mutant; 7] = [
    Mutant {
        name: "a message is sent before its memory is handed over",
        file: "crossdock/src/channel/queue.rs",
        original: "            self.hand_over(&parcel.arrays);
        }
        ring.publish(claim, &parcel.words);",
        bug: "        }
        ring.publish(claim, &parcel.words);
        self.hand_over(&parcel.arrays);",
        part: "library",
        primitive: "send",
        scenarios: "S1",
        situation: "send, Array",
    },
    Mutant {
        name: "a receiver has the memory before it has taken the message",
        file: "crossdock/src/channel/queue.rs",
        original: "        if !ring.take(message, me) {
            return Ok(None);
        }
        let outcome = inbox.open(|ticket, region| self.adopt(ticket, region));",
        bug: "        let outcome = inbox.open(|ticket, region| self.adopt(ticket, region));
        if !ring.take(message, me) {
            return Ok(None);
        }",
        part: "library",
        primitive: "recv",
        scenarios: "S1",
        situation: "recv, ArrayMut",
    },
    Mutant {
        name: "a message is taken in the name of somebody else",
        file: "crossdock-core/src/ring.rs",
        original: "let mine = word_of(lap, me, TAKEN);",
        bug: "let first = Party::new(0).unwrap_or(me);
              let mine = word_of(lap, first, TAKEN);",
        part: "library",
        primitive: "recv",
        scenarios: "S1",
        situation: "recv, ArrayMut",
    },
    Mutant {
        name: "the slot of a dead sender is not passed over",
        file: "crossdock-core/src/ring.rs",
        original: "slot.message.word.compare_exchange(message, lap | HOLE, AcqRel, Relaxed)",
        bug: "slot.message.word.compare_exchange(message, message, AcqRel, Relaxed)",
        part: "library",
        primitive: "send",
        scenarios: "S1",
        situation: "send, ArrayMut",
    },
    Mutant {
        name: "sleeps of senders and receivers have no end",
        file: "crossdock-core/src/signal.rs",
        original: "deadline.map_or_else(|| Deadline::after(SLICE), ",
        bug: "deadline.map_or_else(|| Deadline::after(Duration::MAX), ",
        part: "library",
        primitive: "send",
        scenarios: "S2",
        situation: "send to a sleeper",
    },
    Mutant {
        name: "the number of the dead is free before its bits are cleared",
        file: "crossdock/src/reap.rs",
        original: "    for channel in &channels {
        channel.table.reap(dead, &mut remains);",
        bug: "    dead.iter().for_each(|party| parties.record(party).free());
    for channel in &channels {
        channel.table.reap(dead, &mut remains);",
        part: "library",
        primitive: "reaper",
        scenarios: "S4",
        situation: "a receiver finds",
    },
    Mutant {
        name: "the dead are no members any more before their memory is free",
        file: "crossdock/src/reap.rs",
        original: "    for channel in &channels {
        channel.table.reap(dead, &mut remains);",
        bug: "    for channel in &channels {
        channel.table.remove_members(dead);
        channel.table.reap(dead, &mut remains);",
        part: "library",
        primitive: "recv",
        scenarios: "S4",
        situation: "recv, ArrayMut",
    },
];
