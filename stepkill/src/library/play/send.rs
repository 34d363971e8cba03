//! Sending: the victim sends, the house receives.

use super::Play;
use super::traffic::{
    HOUSES, NAME, Parcel, SLOTS, VICTIMS, after_receivers, after_senders, drain, keep, make, post,
    recv, send,
};
use crate::library::board::{Actor, Done, Phase};
use crate::library::case::{Case, Sleeper};
use crossdock::channel::{Receiver, Sender};
use crossdock::{Array, ArrayMut};

type Unique = ArrayMut<u64>;
type Shared = Array<u64>;

pub(super) fn play() -> Play {
    let cases = vec![
        Case::new("send, ArrayMut", sends::<Unique>, receives::<Unique>)
            .brief()
            .recoverer(receives_too::<Unique>),
        Case::new("send, Array", sends::<Shared>, receives::<Shared>),
        Case::new("send, Array, a clone stays", sends_a_clone, receives::<Shared>)
            .recoverer(receives_too::<Shared>),
        Case::new("loan, fresh, and send", loans_fresh, receives::<Unique>),
        Case::new("loan, recycled, and send", loans_recycled, receives::<Unique>),
        Case::new("send to a sleeper", sends::<Unique>, sleeps_to_receive)
            .brief()
            .sleeper(Sleeper::Before),
        Case::new("send, Array, to a sleeper", sends::<Shared>, sleeps_to_receive_shared)
            .sleeper(Sleeper::Before),
        Case::new("send, queue full, another sender behind", sends_when_full, sleeps_to_send)
            .other(makes_room)
            .sleeper(Sleeper::Behind),
    ];
    Play { name: "send", cases }
}

fn sends<M: Parcel>(a: Actor) -> Done {
    let tx = Sender::<M>::open(NAME)?;
    send(a, &tx, VICTIMS)?;
    let id = a.next_id(VICTIMS);
    let message = make(id)?;
    a.begin();
    post(a, &tx, id, message)?;
    keep(tx)
}

fn sends_a_clone(a: Actor) -> Done {
    let tx = Sender::<Shared>::open(NAME)?;
    send(a, &tx, VICTIMS)?;
    let id = a.next_id(VICTIMS);
    let message: Shared = make(id)?;
    a.begin();
    post(a, &tx, id, message.clone())?;
    keep((tx, message))
}

fn loans_fresh(a: Actor) -> Done {
    let tx = Sender::<Unique>::open(NAME)?;
    a.begin();
    send(a, &tx, VICTIMS)?;
    keep(tx)
}

fn loans_recycled(a: Actor) -> Done {
    let tx = Sender::<Unique>::open(NAME)?;
    drop(make::<Unique>(0)?);
    a.begin();
    send(a, &tx, VICTIMS)?;
    keep(tx)
}

fn receives<M: Parcel>(a: Actor) -> Done {
    let rx = Receiver::<M>::create(NAME, SLOTS)?;
    a.ready();
    a.await_go();
    after_senders(a, rx)
}

/// Recovers from the victim, and dies of it.
fn receives_too<M: Parcel>(a: Actor) -> Done {
    let rx = Receiver::<M>::open(NAME)?;
    a.let_a_slice_pass();
    a.await_go();
    drain(a, &rx)?;
    keep(rx)
}

fn sleeps_to_receive(a: Actor) -> Done {
    sleeps::<Unique>(a)
}

fn sleeps_to_receive_shared(a: Actor) -> Done {
    sleeps::<Shared>(a)
}

/// Takes the first message, and sleeps until the second one comes, or never will.
fn sleeps<M: Parcel>(a: Actor) -> Done {
    let rx = Receiver::<M>::create(NAME, SLOTS)?;
    a.ready();
    a.await_phase(Phase::Sleep);
    drop(recv(a, &rx)?);
    a.fall_asleep();
    after_senders(a, rx)
}

/// The queue is full when it begins.
fn sends_when_full(a: Actor) -> Done {
    let tx = Sender::<Unique>::open(NAME)?;
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

/// Makes room for one when the victim sleeps; and further on whenever the queue is full, but says nothing
/// as long as there is room.
fn makes_room(a: Actor) -> Done {
    let rx = Receiver::<Unique>::open(NAME)?;
    a.ready();
    a.await_phase(Phase::Part);
    drop(recv(a, &rx)?);
    while a.is_before(Phase::Go) || !a.has_house_gone_on() {
        if rx.len() == SLOTS {
            drop(recv(a, &rx)?);
        }
        std::thread::yield_now();
    }
    // Whoever leaves wakes all, so not before.
    a.await_phase(Phase::End);
    drop(rx);
    a.leave()
}

/// Has the channel, and sleeps behind the victim until there is room.
fn sleeps_to_send(a: Actor) -> Done {
    let tx = Sender::<Unique>::create(NAME, SLOTS)?;
    let id = a.next_id(HOUSES);
    let message = make(id)?;
    a.ready();
    a.fall_asleep();
    post(a, &tx, id, message)?;
    a.go_on();
    a.await_go();
    after_receivers(a, tx)
}
