//! Bugs of channels, and of who puts right what the dead left.

use super::Mutant;

pub(super) const MUTANTS: [Mutant; 20] = [
    Mutant {
        name: "a message is sent before its memory is handed over",
        file: "crossdock/src/channel/queue.rs",
        original: "            self.hand_over(&parcel.arrays);
        }
        let is_awaited = ring.publish(claim, parcel.words());",
        bug: "        }
        let is_awaited = ring.publish(claim, parcel.words());
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
        name: "a message of a batch is sent before its memory is handed over",
        file: "crossdock/src/channel/batch.rs",
        original: "            self.hand_over(&parcel.arrays);
        }
        batch.publish(claim, parcel.words());",
        bug: "        }
        batch.publish(claim, parcel.words());
        self.hand_over(&parcel.arrays);",
        part: "library",
        primitive: "batch",
        scenarios: "S1",
        situation: "send_many, Array",
    },
    Mutant {
        name: "a batch has the memory before it has taken the message",
        file: "crossdock/src/channel/batch.rs",
        original: "if self.sight_message(ring, &message, inbox).is_err() || !batch.take(&message) {",
        bug: "let early = self.sight_message(ring, &message, inbox);
            let early = early.and_then(|()| inbox.open(|ticket, region| self.adopt(ticket, region)));
            if early.is_err() || !batch.take(&message) {",
        part: "library",
        primitive: "batch",
        scenarios: "S1",
        situation: "recv_many, ArrayMut",
    },
    Mutant {
        name: "nobody goes over slots behind which a dead sender has not moved the tail",
        file: "crossdock-core/src/ring/slots.rs",
        original: "} else if word & LAP_MASK == lap || word & LAP_MASK == next_lap(lap) {",
        bug: "} else if word & LAP_MASK == lap {",
        part: "library",
        primitive: "batch",
        scenarios: "S1",
        situation: "send_many, records",
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
    Mutant {
        name: "what a dead reader has not seen stays in the way",
        file: "crossdock-core/src/ring/broadcast.rs",
        original: "self.clear(index, bit, on_last);",
        bug: "let _ = (index, &on_last);",
        part: "library",
        primitive: "broadcast",
        scenarios: "S1",
        situation: "recv",
    },
    Mutant {
        name: "what a dead reader has pinned stays so",
        file: "crossdock-core/src/ring/broadcast.rs",
        original: "slot.take.pins.fetch_and(!bit, SeqCst);",
        bug: "slot.take.pins.load(SeqCst);",
        part: "library",
        primitive: "broadcast",
        scenarios: "S1",
        situation: "recv",
    },
    Mutant {
        name: "what a dead sender has replaced stays kept",
        file: "crossdock-core/src/ring/latest.rs",
        original: "self.let_go_of_old(on_last);",
        bug: "",
        part: "library",
        primitive: "latest",
        scenarios: "S1",
        situation: "send",
    },
    Mutant {
        name: "the newest message is a hole if its sender has died",
        file: "crossdock-core/src/ring/latest.rs",
        original: "if slot.message.word.load(Acquire) & !LEN_MASK == lap | READY {",
        bug: "if slot.message.word.load(Acquire) == lap {",
        part: "library",
        primitive: "latest",
        scenarios: "S1",
        situation: "send",
    },
    Mutant {
        name: "the queue is not asked who took a message",
        file: "crossdock-core/src/deliveries.rs",
        original: "READY => has_taken(row[POSITION].load(Relaxed)),",
        bug: "READY => false,",
        part: "library",
        primitive: "delivery",
        scenarios: "S1",
        situation: "deliver",
    },
    Mutant {
        name: "what somebody dead meant to take comes twice",
        file: "crossdock-core/src/deliveries.rs",
        original: "READY => has_taken(row[POSITION].load(Relaxed)),",
        bug: "READY => true,",
        part: "library",
        primitive: "delivery",
        scenarios: "S1",
        situation: "deliver",
    },
    Mutant {
        name: "a record is free before another takes its place",
        file: "crossdock-core/src/collection/table.rs",
        original: "            found.slot.commit(slot_of(hash, at));
            return Ok(found.record.free(&self.heap)?);",
        bug: "            found.record.free(&self.heap)?;
            found.slot.commit(slot_of(hash, at));
            return Ok(());",
        part: "library",
        primitive: "map",
        scenarios: "S1",
        situation: "in place of another",
    },
    Mutant {
        name: "what somebody dead had of a map is taken to be in order",
        file: "crossdock/src/collections/writer.rs",
        original: "                writer.repair()?;",
        bug: "                shard.lock.clear_poison();",
        part: "library",
        primitive: "map",
        scenarios: "S1",
        situation: "insert",
    },
    Mutant {
        name: "a table is free before another takes its place",
        file: "crossdock-core/src/collection/table.rs",
        original: "        self.heap.commit_root(exponent, at);
        self.heap.shard.used.store(live);
        if let Some((exponent, at)) = before {
            self.heap.give(at, 8 << exponent)?;
        }",
        bug: "        if let Some((exponent, at)) = before {
            self.heap.give(at, 8 << exponent)?;
        }
        self.heap.commit_root(exponent, at);
        self.heap.shard.used.store(live);",
        part: "library",
        primitive: "map",
        scenarios: "S1",
        situation: "the table grows",
    },
    Mutant {
        name: "a list is longer before its item is there",
        file: "crossdock-core/src/collection/sequence.rs",
        original: "        let array = self.reserve(values.len())?;",
        bug: "        let array = self.reserve(values.len())?;
        array.len.commit((array.items.len() + values.len()) as u64);",
        part: "library",
        primitive: "list",
        scenarios: "S1",
        situation: "push",
    },
];
