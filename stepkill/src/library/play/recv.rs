//! Receiving: the victim receives what the house, or somebody else, sends.

use super::Play;
use super::traffic::{
    HOUSES, NAME, OTHERS, Parcel, SLOTS, after_receivers, after_senders, keep, make, post, recv,
    send, send_asleep, settle,
};
use crate::library::board::{Actor, Done, Phase};
use crate::library::case::{Case, Sleeper};
use crossdock::channel::{Receiver, Sender};
use crossdock::{Array, ArrayMut};

type Unique = ArrayMut<u64>;
type Shared = Array<u64>;

pub(super) fn play() -> Play {
    let cases = vec![
        Case::new("recv, ArrayMut", receives_second::<Unique>, sends::<Unique>)
            .brief()
            .recoverer(receives_too),
        Case::new("recv, Array", receives_second::<Shared>, sends::<Shared>),
        Case::new("recv, Array, its sender keeps a clone", receives_first, keeps_clones),
        Case::new("recv, the first one from an arena", receives_first_unique, sends::<Unique>),
        Case::new("recv, asleep", receives_asleep, sends_later),
        Case::new("recv, queue full, a sender asleep", receives_second::<Unique>, sleeps_to_send)
            .brief()
            .sleeper(Sleeper::Before),
        Case::new("recv, asleep, another receiver behind", receives_asleep, sleeps_to_recv)
            .other(sends_one)
            .sleeper(Sleeper::Behind),
    ];
    Play { name: "recv", cases }
}

/// Has received one, which it keeps, and dies of the second one.
fn receives_second<M: Parcel>(a: Actor) -> Done {
    let rx = Receiver::<M>::open(NAME)?;
    let first = recv(a, &rx)?;
    a.begin();
    let second = recv(a, &rx)?;
    keep((rx, first, second))
}

fn receives_first(a: Actor) -> Done {
    let rx = Receiver::<Shared>::open(NAME)?;
    a.begin();
    let array = recv(a, &rx)?;
    keep((rx, array))
}

fn receives_first_unique(a: Actor) -> Done {
    let rx = Receiver::<Unique>::open(NAME)?;
    a.begin();
    let array = recv(a, &rx)?;
    keep((rx, array))
}

/// There is nothing to receive when it begins. It looks for the dead before it sleeps.
fn receives_asleep(a: Actor) -> Done {
    let rx = Receiver::<Unique>::open(NAME)?;
    a.let_a_slice_pass();
    a.begin();
    let array = recv(a, &rx)?;
    keep((rx, array))
}

fn sends<M: Parcel>(a: Actor) -> Done {
    let tx = Sender::<M>::create(NAME, SLOTS)?;
    for _ in 0..SLOTS {
        send(a, &tx, HOUSES)?;
    }
    a.ready();
    a.await_go();
    after_receivers(a, tx)
}

fn keeps_clones(a: Actor) -> Done {
    let tx = Sender::<Shared>::create(NAME, SLOTS)?;
    let mut clones = Vec::new();
    for _ in 0..SLOTS {
        let id = a.next_id(HOUSES);
        let message: Shared = make(id)?;
        clones.push(message.clone());
        post(a, &tx, id, message)?;
    }
    a.ready();
    a.await_go();
    drop(clones);
    after_receivers(a, tx)
}

/// Recovers from the victim, and dies of it: it is a receiver itself.
fn receives_too(a: Actor) -> Done {
    let rx = Receiver::<Unique>::open(NAME)?;
    a.let_a_slice_pass();
    a.await_go();
    settle(a, &rx)?;
    keep(rx)
}

/// Sends when the victim sleeps.
fn sends_later(a: Actor) -> Done {
    let tx = Sender::<Unique>::create(NAME, SLOTS)?;
    a.ready();
    a.await_phase(Phase::Part);
    send(a, &tx, HOUSES)?;
    a.await_go();
    after_receivers(a, tx)
}

/// Fills the queue, and sleeps until there is room for one more. (The victim has taken one before.)
fn sleeps_to_send(a: Actor) -> Done {
    let tx = Sender::<Unique>::create(NAME, SLOTS)?;
    for _ in 0..SLOTS {
        send(a, &tx, HOUSES)?;
    }
    a.ready();
    a.await_phase(Phase::Sleep);
    send(a, &tx, HOUSES)?;
    send_asleep(a, &tx)?;
    a.go_on();
    a.await_go();
    after_receivers(a, tx)
}

/// Sends one when the victim sleeps, and one more whenever none is left; but says nothing as long as one is
/// there.
fn sends_one(a: Actor) -> Done {
    a.has_arena();
    let tx = Sender::<Unique>::open(NAME)?;
    a.ready();
    a.await_phase(Phase::Part);
    while a.is_before(Phase::Go) || !a.has_house_gone_on() {
        if tx.is_empty() {
            send(a, &tx, OTHERS)?;
        }
        std::thread::yield_now();
    }
    // The house hears of its leaving, so not before it has what it wants.
    drop(tx);
    a.leave()
}

/// Has the channel, and sleeps behind the victim until there is a message.
fn sleeps_to_recv(a: Actor) -> Done {
    let rx = Receiver::<Unique>::create(NAME, SLOTS)?;
    a.ready();
    a.fall_asleep();
    drop(recv(a, &rx)?);
    a.go_on();
    a.await_go();
    after_senders(a, rx)
}
