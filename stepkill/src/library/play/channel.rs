//! Joining, making, opening and leaving.

use super::Play;
use super::traffic::{
    NAME, SLOTS, VICTIMS, after_comers, after_leavers, keep, newcomer, recv, send,
};
use crate::library::board::{Actor, Done, Phase};
use crate::library::case::{Case, Sleeper};
use crossdock::ArrayMut;
use crossdock::arena;
use crossdock::channel::{Receiver, Sender};

type Tx = Sender<ArrayMut<u64>>;
type Rx = Receiver<ArrayMut<u64>>;

pub(super) fn play() -> Play {
    let cases = vec![
        Case::new("join", joins, has_channel),
        Case::new("join, as the first one", joins, newcomer).newcomer(),
        Case::new("create", creates, newcomer).newcomer(),
        Case::new("open", opens, has_channel),
        Case::new("drop of a Sender", leaves, awaits_end).brief(),
        Case::new("drop of the last Sender, a receiver asleep", leaves, sleeps)
            .sleeper(Sleeper::Before),
        Case::new("drop of the last end", closes, newcomer).newcomer(),
        Case::new("exit", exits, awaits_end),
        Case::new("exit of the last process", exits_last, newcomer).newcomer(),
    ];
    Play { name: "channel", cases }
}

fn joins(a: Actor) -> Done {
    a.begin();
    arena::stats()?;
    Ok(())
}

fn creates(a: Actor) -> Done {
    arena::stats()?;
    a.begin();
    keep(Tx::create(NAME, SLOTS)?)
}

fn opens(a: Actor) -> Done {
    arena::stats()?;
    a.begin();
    keep(Tx::open(NAME)?)
}

fn leaves(a: Actor) -> Done {
    let tx = Tx::open(NAME)?;
    send(a, &tx, VICTIMS)?;
    a.begin();
    drop(tx);
    Ok(())
}

fn closes(a: Actor) -> Done {
    let tx = Tx::create(NAME, SLOTS)?;
    send(a, &tx, VICTIMS)?;
    a.begin();
    drop(tx);
    Ok(())
}

fn exits(a: Actor) -> Done {
    let tx = Tx::open(NAME)?;
    send(a, &tx, VICTIMS)?;
    a.begin();
    drop(tx);
    a.leave()
}

fn exits_last(a: Actor) -> Done {
    let tx = Tx::create(NAME, SLOTS)?;
    send(a, &tx, VICTIMS)?;
    drop(tx);
    a.begin();
    a.leave()
}

fn has_channel(a: Actor) -> Done {
    let tx = Tx::create(NAME, SLOTS)?;
    a.ready();
    a.await_go();
    after_comers(a, tx)
}

fn awaits_end(a: Actor) -> Done {
    let rx = Rx::create(NAME, SLOTS)?;
    a.ready();
    a.await_go();
    after_leavers(a, rx)
}

fn sleeps(a: Actor) -> Done {
    let rx = Rx::create(NAME, SLOTS)?;
    a.ready();
    a.await_phase(Phase::Sleep);
    drop(recv(a, &rx)?);
    a.fall_asleep();
    after_leavers(a, rx)
}
