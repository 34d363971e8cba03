//! Latest-value cells: whoever has died, a reader gets the newest message that was sent, never an older one than
//! before, and a sender waits for no dead one.

use super::Play;
use super::fan_out::{
    Reader, receives_for_a_moment, receives_until_alone, send, sends, sends_a_clone, sends_a_lap,
};
use super::traffic::{HOUSES, IN_VAIN, NAME, SLOTS, VICTIMS, audit, check_held, keep};
use crate::library::board::{Actor, Done, Phase, identify, wrong};
use crate::library::case::{Case, Sleeper};
use crate::stage::Role;
use crossdock::channel::latest::{Receiver, Sender};
use crossdock::{Array, registry};
use std::ops::Range;

type Tx = Sender<Array<u64>>;
type Rx = Receiver<Array<u64>>;

pub(super) fn play() -> Play {
    let cases = vec![
        Case::new("send", sends::<Tx>, receives).brief().recoverer(receives_until_alone::<Rx>),
        Case::new("send, a clone stays", sends_a_clone::<Tx>, receives),
        Case::new("send, in place of an older one", sends_a_lap::<Tx>, receives)
            .recoverer(sends_until_through),
        Case::new("send to a sleeper", sends::<Tx>, sleeps_to_receive).sleeper(Sleeper::Before),
        Case::new("send, another sender behind", sends_a_lap::<Tx>, has_rx_and_sends),
        Case::new("get", gets, has_tx).brief().recoverer(receives_for_a_moment::<Rx>),
        Case::new("recv, asleep", receives_asleep, sends_later),
        Case::new("open of a Receiver", opens, has_tx),
        Case::new("drop of a Receiver", drops, has_tx),
    ];
    Play { name: "latest", cases }
}

impl Reader<Rx> {
    /// Whether the newest message is the last of a range whose send has returned, or one that was begun after
    /// it; and whether this reader has it already.
    fn check_newest(&self, a: Actor, ids: Range<usize>) -> Done {
        let newest = match self.rx.get()? {
            Some(array) => identify(&array)?,
            None => return wrong("there is no message"),
        };
        let sends = a.sends(ids);
        let last_sent = sends.iter().rposition(|(_, is_sent)| *is_sent).unwrap_or(0);
        if !sends[last_sent..].iter().any(|(id, _)| *id == newest) {
            return wrong(format_args!("the newest message is {newest}, and sent were {sends:?}"));
        }
        if self.seen.last() == Some(&newest) {
            return Ok(());
        }
        wrong(format_args!("the newest message is {newest}, and {:?} were received", self.seen))
    }
}

// What the victim does.

fn gets(a: Actor) -> Done {
    let rx = Rx::open(NAME)?;
    a.ready();
    let first = rx.recv()?;
    a.begin();
    let again = rx.get()?;
    keep((rx, first, again))
}

/// There is nothing new when it begins. It looks for the dead before it sleeps.
fn receives_asleep(a: Actor) -> Done {
    let rx = Rx::open(NAME)?;
    a.ready();
    let first = rx.recv()?;
    a.let_a_slice_pass();
    a.begin();
    let second = rx.recv()?;
    keep((rx, first, second))
}

fn opens(a: Actor) -> Done {
    // The process is a party before.
    let tx = Tx::open(NAME)?;
    a.ready();
    a.begin();
    keep((Rx::open(NAME)?, tx))
}

fn drops(a: Actor) -> Done {
    let rx = Rx::open(NAME)?;
    a.ready();
    drop(rx.recv()?);
    a.begin();
    drop(rx);
    Ok(())
}

// Who dies after that.

/// Comes to the slot of the dead. (Its messages are the victim's kind: they come after it.)
fn sends_until_through(a: Actor) -> Done {
    let tx = Tx::open(NAME)?;
    a.let_a_slice_pass();
    a.await_go();
    for _ in 0..SLOTS {
        send(a, &tx, VICTIMS)?;
    }
    keep(tx)
}

// The house.

fn receives(a: Actor) -> Done {
    let reader = Reader::new(Rx::create(NAME, SLOTS)?);
    a.ready();
    a.await_go();
    after_senders(a, reader)
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

/// Sends at once, and comes to the slot of the victim, who may not be known to be dead.
fn has_rx_and_sends(a: Actor) -> Done {
    let mut reader = Reader::new(Rx::create(NAME, SLOTS)?);
    a.ready();
    a.await_go();
    let tx = Tx::open(NAME)?;
    for _ in 0..SLOTS {
        send(a, &tx, HOUSES)?;
    }
    a.go_on();
    reader.recv()?;
    reader.check_newest(a, HOUSES)?;
    drop(tx);
    reader.drain()?;
    after_all(a, reader)
}

/// Has a reader of its own, and sends when the victim has come.
fn has_tx(a: Actor) -> Done {
    let tx = Tx::create(NAME, SLOTS)?;
    let reader = Reader::new(Rx::open(NAME)?);
    a.ready();
    a.await_ready(Role::Victim);
    send(a, &tx, HOUSES)?;
    a.await_go();
    after_readers(a, tx, reader)
}

/// Sends again when the victim sleeps.
fn sends_later(a: Actor) -> Done {
    let tx = Tx::create(NAME, SLOTS)?;
    let reader = Reader::new(Rx::open(NAME)?);
    a.ready();
    a.await_ready(Role::Victim);
    send(a, &tx, HOUSES)?;
    a.await_phase(Phase::Part);
    send(a, &tx, HOUSES)?;
    a.await_go();
    after_readers(a, tx, reader)
}

/// What the house does whose reader was there through it all: hears that all senders have gone, looks at the
/// newest message, uses the cell further, and looks at the books.
fn after_senders(a: Actor, mut reader: Reader<Rx>) -> Done {
    reader.drain()?;
    a.go_on();
    // A house that was asleep is no longer in the victim's way.
    a.await_go();
    reader.check_newest(a, VICTIMS)?;
    after_all(a, reader)
}

/// What the house does that has sender and reader: takes what there is, uses the cell further, which takes that no
/// dead reader is waited for, and looks at the books. Who died may have left the cell before.
fn after_readers(a: Actor, tx: Tx, mut reader: Reader<Rx>) -> Done {
    for _ in 0..=SLOTS {
        send(a, &tx, HOUSES)?;
    }
    a.go_on();
    reader.settle(IN_VAIN)?;
    reader.check_newest(a, HOUSES)?;
    drop(tx);
    registry::gc(true)?;
    after_all(a, reader)
}

/// More messages than there are slots, each of which is the newest at once; and of all memory only that of the
/// newest one is held, until the cell has gone.
fn after_all(a: Actor, mut reader: Reader<Rx>) -> Done {
    let tx = Tx::open(NAME)?;
    for _ in 0..=SLOTS {
        send(a, &tx, HOUSES)?;
        reader.recv()?;
        reader.check_newest(a, HOUSES)?;
    }
    if a.are_two_dead() {
        reader.settle(IN_VAIN)?;
    }
    check_held(1)?;
    drop((tx, reader));
    audit(a)
}
