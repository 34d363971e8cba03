//! Broadcasts: whoever has died, each reader that lives sees each message once and in order, and a sender waits for
//! no dead reader.

use super::Play;
use super::fan_out::{
    Reader, post, receives_for_a_moment, receives_until_alone, send, sends, sends_a_clone,
    sends_a_lap,
};
use super::traffic::{HOUSES, IN_VAIN, NAME, OTHERS, SLOTS, VICTIMS, audit, keep, make};
use crate::library::board::{Actor, Done, Phase, wrong};
use crate::library::case::{Case, Sleeper};
use crate::stage::Role;
use crossdock::channel::broadcast::{Receiver, Sender};
use crossdock::channel::{ChannelOptions, WhenFull};
use crossdock::{Array, registry};
use std::time::Duration;

type Tx = Sender<Array<u64>>;
type Rx = Receiver<Array<u64>>;

pub(super) fn play() -> Play {
    let cases = vec![
        Case::new("send", sends::<Tx>, receives).brief().recoverer(receives_until_alone::<Rx>),
        Case::new("send, a clone stays", sends_a_clone::<Tx>, receives),
        Case::new("send, another process listens", sends::<Tx>, receives_with_another)
            .other(listens),
        Case::new("send to a sleeper", sends::<Tx>, sleeps_to_receive).sleeper(Sleeper::Before),
        Case::new("send, the oldest is dropped", sends_a_lap::<Tx>, receives_what_is_left)
            .recoverer(receives_until_alone::<Rx>),
        Case::new("send, ring full, another sender behind", sends_when_full, sleeps_to_send)
            .other(makes_room)
            .sleeper(Sleeper::Behind),
        Case::new("recv", receives_second, has_tx).brief().recoverer(receives_for_a_moment::<Rx>),
        Case::new("recv, the oldest is dropped", receives_second, drops_oldest),
        Case::new("recv, asleep", receives_asleep, sends_later),
        Case::new("recv, ring full, a sender asleep", receives_both, sleeps_to_send_more)
            .brief()
            .sleeper(Sleeper::Before),
        Case::new("open of a Receiver", opens, has_tx_alone),
        Case::new("drop of a Receiver", drops, has_tx).recoverer(receives_for_a_moment::<Rx>),
        Case::new("drop of a Receiver, ring full, a sender asleep", drops, sleeps_to_send_more)
            .sleeper(Sleeper::Before),
    ];
    Play { name: "broadcast", cases }
}

impl Reader<Rx> {
    /// Whether this reader, which was there before all others, has seen all messages that were sent, but for so
    /// many as it has been told that it has missed.
    fn check(&self, a: Actor) -> Done {
        let missed = self.rx.take_missed();
        let (mut unseen, mut unseen_sent) = (0, 0);
        for (id, is_sent) in [VICTIMS, HOUSES, OTHERS].into_iter().flat_map(|ids| a.sends(ids)) {
            if !self.seen.contains(&id) {
                unseen += 1;
                unseen_sent += u64::from(is_sent);
            }
        }
        if self.seen.iter().any(|id| !a.is_begun(*id)) {
            return wrong(format_args!("{:?} were seen, and not all of them sent", self.seen));
        }
        if (unseen_sent..=unseen).contains(&missed) {
            return Ok(());
        }
        let seen = &self.seen;
        wrong(format_args!(
            "{missed} were missed, where {unseen_sent} that were sent were not seen, only {seen:?}"
        ))
    }

    /// As [`check`](Self::check), in a broadcast whose senders wait.
    fn check_all(&self, a: Actor) -> Done {
        let missed = self.rx.take_missed();
        if missed != 0 {
            return wrong(format_args!("{missed} were missed, where senders wait"));
        }
        self.check(a)
    }
}

/// Waits until the ring is full of what this reader has yet to see.
fn await_full(rx: &Rx) {
    while rx.lag() < SLOTS {
        std::thread::yield_now();
    }
}

fn dropping() -> ChannelOptions {
    ChannelOptions::new(SLOTS).when_full(WhenFull::DropOldest)
}

// What the victim does.

/// Sleeps until there is room.
fn sends_when_full(a: Actor) -> Done {
    let tx = Tx::open(NAME)?;
    for _ in 0..SLOTS {
        send(a, &tx, VICTIMS)?;
    }
    let id = a.next_id(VICTIMS);
    let message = make(id)?;
    // It looks for the dead before it sleeps.
    a.let_a_slice_pass();
    a.begin();
    post(a, &tx, id, message)?;
    keep(tx)
}

/// Has received one, which it keeps, and dies of the second one.
fn receives_second(a: Actor) -> Done {
    let rx = Rx::open(NAME)?;
    a.ready();
    await_full(&rx);
    let first = rx.recv()?;
    a.begin();
    let second = rx.recv()?;
    keep((rx, first, second))
}

/// Makes room by each.
fn receives_both(a: Actor) -> Done {
    let rx = Rx::open(NAME)?;
    a.ready();
    await_full(&rx);
    a.begin();
    let first = rx.recv()?;
    let second = rx.recv()?;
    keep((rx, first, second))
}

/// There is nothing to receive when it begins. It looks for the dead before it sleeps.
fn receives_asleep(a: Actor) -> Done {
    let rx = Rx::open(NAME)?;
    a.let_a_slice_pass();
    a.begin();
    let array = rx.recv()?;
    keep((rx, array))
}

fn opens(a: Actor) -> Done {
    // The process is a party before.
    let tx = Tx::open(NAME)?;
    a.begin();
    keep((Rx::open(NAME)?, tx))
}

/// Leaves messages that it has not seen.
fn drops(a: Actor) -> Done {
    let rx = Rx::open(NAME)?;
    a.ready();
    await_full(&rx);
    a.begin();
    drop(rx);
    Ok(())
}

// Who lives besides the house.

/// Hears all until every sender has gone.
fn listens(a: Actor) -> Done {
    let mut reader = Reader::new(Rx::open(NAME)?);
    a.ready();
    reader.drain()?;
    reader.check_all(a)?;
    drop(reader);
    a.finish();
    a.await_phase(Phase::End);
    a.leave()
}

/// Makes room for one when the victim sleeps; and further on whenever the ring is full, but says nothing as long
/// as there is room. Once the house has gone on, it hears all.
fn makes_room(a: Actor) -> Done {
    let mut reader = Reader::new(Rx::open(NAME)?);
    a.ready();
    a.await_phase(Phase::Part);
    reader.recv()?;
    while a.is_before(Phase::Go) || !a.has_house_gone_on() {
        if reader.rx.lag() == SLOTS {
            reader.settle(Duration::ZERO)?;
        }
        std::thread::yield_now();
    }
    reader.drain()?;
    reader.check_all(a)?;
    drop(reader);
    a.finish();
    a.await_phase(Phase::End);
    a.leave()
}

// The house.

fn receives(a: Actor) -> Done {
    let reader = Reader::new(Rx::create(NAME, SLOTS)?);
    a.ready();
    a.await_go();
    after_senders(a, reader)
}

fn receives_with_another(a: Actor) -> Done {
    let mut reader = Reader::new(Rx::create(NAME, SLOTS)?);
    a.ready();
    a.await_go();
    reader.drain()?;
    a.go_on();
    a.await_finished(Role::Ancestor);
    after_senders(a, reader)
}

fn receives_what_is_left(a: Actor) -> Done {
    let mut reader = Reader::new(dropping().create_broadcast_receiver(NAME)?);
    a.ready();
    a.await_go();
    reader.drain()?;
    a.go_on();
    let tx = Tx::open(NAME)?;
    lap(a, &tx, &mut reader)?;
    if a.are_two_dead() {
        reader.settle(IN_VAIN)?;
    }
    reader.check(a)?;
    audit(a)
}

/// Takes the first message, and sleeps until the second one comes, or never will.
fn sleeps_to_receive(a: Actor) -> Done {
    let mut reader = Reader::new(Rx::create(NAME, SLOTS)?);
    a.ready();
    a.await_phase(Phase::Sleep);
    reader.recv()?;
    a.fall_asleep();
    after_senders(a, reader)
}

/// Has the channel, and sleeps behind the victim until there is room.
fn sleeps_to_send(a: Actor) -> Done {
    let tx = Tx::create(NAME, SLOTS)?;
    let id = a.next_id(HOUSES);
    let message = make(id)?;
    a.ready();
    a.fall_asleep();
    post(a, &tx, id, message)?;
    a.go_on();
    a.await_go();
    for _ in 0..=SLOTS {
        send(a, &tx, HOUSES)?;
    }
    drop(tx);
    a.await_finished(Role::Ancestor);
    audit(a)
}

/// Has a reader of its own, and fills the ring when the victim has one, too.
fn has_tx(a: Actor) -> Done {
    let tx = Tx::create(NAME, SLOTS)?;
    let reader = Reader::new(Rx::open(NAME)?);
    a.ready();
    a.await_ready(Role::Victim);
    for _ in 0..SLOTS {
        send(a, &tx, HOUSES)?;
    }
    a.await_go();
    after_readers(a, tx, reader)
}

/// As [`has_tx`], in a broadcast that drops the oldest: the victim had it, or had pinned it.
fn drops_oldest(a: Actor) -> Done {
    let tx = dropping().create_broadcast_sender(NAME)?;
    let mut reader = Reader::new(Rx::open(NAME)?);
    a.ready();
    a.await_ready(Role::Victim);
    for _ in 0..SLOTS {
        send(a, &tx, HOUSES)?;
    }
    a.await_go();
    send(a, &tx, HOUSES)?;
    reader.settle(IN_VAIN)?;
    a.go_on();
    lap(a, &tx, &mut reader)?;
    reader.check(a)?;
    audit(a)
}

fn has_tx_alone(a: Actor) -> Done {
    let tx = Tx::create(NAME, SLOTS)?;
    let reader = Reader::new(Rx::open(NAME)?);
    a.ready();
    a.await_go();
    after_readers(a, tx, reader)
}

/// Sends when the victim sleeps.
fn sends_later(a: Actor) -> Done {
    let tx = Tx::create(NAME, SLOTS)?;
    let reader = Reader::new(Rx::open(NAME)?);
    a.ready();
    a.await_phase(Phase::Part);
    send(a, &tx, HOUSES)?;
    a.await_go();
    after_readers(a, tx, reader)
}

/// Fills the ring, sees all itself, and sleeps until the victim has, too, or has gone, or is dead.
fn sleeps_to_send_more(a: Actor) -> Done {
    let tx = Tx::create(NAME, SLOTS)?;
    let mut reader = Reader::new(Rx::open(NAME)?);
    a.ready();
    a.await_ready(Role::Victim);
    for _ in 0..SLOTS {
        send(a, &tx, HOUSES)?;
        reader.recv()?;
    }
    let id = a.next_id(HOUSES);
    let message = make(id)?;
    a.fall_asleep();
    // It is not told that nobody is left: a reader of its own is there.
    post(a, &tx, id, message)?;
    a.go_on();
    a.await_go();
    after_readers(a, tx, reader)
}

/// Sends and receives more messages than there are slots: nobody who is dead is in the way.
fn lap(a: Actor, tx: &Tx, reader: &mut Reader<Rx>) -> Done {
    for _ in 0..=SLOTS {
        send(a, tx, HOUSES)?;
        reader.recv()?;
    }
    Ok(())
}

/// What the house does whose reader was there through it all: hears that all senders have gone, uses the channel
/// further, and looks at the books.
fn after_senders(a: Actor, mut reader: Reader<Rx>) -> Done {
    reader.drain()?;
    a.go_on();
    // A house that was asleep is no longer in the victim's way.
    a.await_go();
    let tx = Tx::open(NAME)?;
    lap(a, &tx, &mut reader)?;
    if a.are_two_dead() {
        reader.settle(IN_VAIN)?;
    }
    reader.check_all(a)?;
    // While the channel is there: it holds nothing that everybody has seen.
    audit(a)
}

/// What the house does that has sender and reader: takes what there is, uses the channel further, which takes
/// that no dead reader is waited for, and looks at the books. Who died may have left the channel before.
fn after_readers(a: Actor, tx: Tx, mut reader: Reader<Rx>) -> Done {
    reader.settle(IN_VAIN)?;
    lap(a, &tx, &mut reader)?;
    a.go_on();
    reader.check_all(a)?;
    registry::gc(true)?;
    audit(a)?;
    let late = tx.is_disconnected();
    drop(reader);
    if late || !tx.is_disconnected() {
        return wrong("the last reader has gone, and the sender is told something else");
    }
    Ok(())
}
