//! Putting right what a dead process left: the victim does it, and dies of it.
//!
//! Before the house goes on, somebody joins, who gets the first number that is free: that of the one who died
//! first, who had a smaller one than the victim.

use super::Play;
use super::traffic::{
    HOUSES, NAME, SLOTS, VICTIMS, after_receivers, after_senders, bystander, drain, keep, make,
    newcomer, recv, send,
};
use crate::library::board::{Actor, Done};
use crate::library::case::{Case, Order};
use crossdock::channel::{Receiver, Sender};
use crossdock::{ArrayMut, arena, registry};

type Tx = Sender<ArrayMut<u64>>;
type Rx = Receiver<ArrayMut<u64>>;

pub(super) fn play() -> Play {
    let after_sender = |name, victim| {
        Case::new(name, victim, has_channel)
            .ancestor(Order::Later, dies_as_sender)
            .bystander(bystander)
    };
    let cases = vec![
        after_sender("a receiver finds the dead sender", receives),
        after_sender("somebody joins", joins),
        after_sender("gc", collects),
        Case::new("a sender finds the dead receiver", sends, has_tx)
            .ancestor(Order::Later, dies_as_receiver)
            .bystander(bystander),
        Case::new("a name of the dead is made anew", makes_anew, newcomer)
            .ancestor(Order::Later, dies_as_maker)
            .newcomer(),
    ];
    Play { name: "reaper", cases }
}

/// Leaves a message, a loan, and itself as a sender.
fn dies_as_sender(a: Actor) -> Done {
    let tx = Tx::open(NAME)?;
    send(a, &tx, VICTIMS)?;
    let loan = make::<ArrayMut<u64>>(0)?;
    a.await_end();
    keep((tx, loan))
}

/// Leaves an array that it has received, and itself as a receiver.
fn dies_as_receiver(a: Actor) -> Done {
    let rx = Rx::open(NAME)?;
    let array = recv(a, &rx)?;
    a.await_end();
    keep((rx, array))
}

/// Leaves a channel with a message in it.
fn dies_as_maker(a: Actor) -> Done {
    let tx = Tx::create(NAME, SLOTS)?;
    send(a, &tx, VICTIMS)?;
    a.await_end();
    keep(tx)
}

fn has_channel(a: Actor) -> Done {
    let rx = Rx::create(NAME, SLOTS)?;
    a.ready();
    a.await_go();
    after_senders(a, rx)
}

fn has_tx(a: Actor) -> Done {
    let tx = Tx::create(NAME, SLOTS)?;
    for _ in 0..SLOTS {
        send(a, &tx, HOUSES)?;
    }
    a.ready();
    a.await_go();
    after_receivers(a, tx)
}

fn receives(a: Actor) -> Done {
    let rx = Rx::open(NAME)?;
    a.let_a_slice_pass();
    a.begin();
    drain(a, &rx)?;
    keep(rx)
}

/// Its look at the channel, which is alone, is one for the dead, too.
fn sends(a: Actor) -> Done {
    let tx = Tx::open(NAME)?;
    a.let_a_slice_pass();
    a.begin();
    while !tx.is_disconnected() {}
    keep(tx)
}

fn joins(a: Actor) -> Done {
    a.begin();
    arena::stats()?;
    Ok(())
}

fn collects(a: Actor) -> Done {
    a.begin();
    registry::gc(true)?;
    Ok(())
}

fn makes_anew(a: Actor) -> Done {
    arena::stats()?;
    a.begin();
    keep(Rx::open_or_create(NAME, SLOTS)?)
}
