//! Memory: the victim takes it, lets go of it, or gives it back.

use super::Play;
use super::traffic::{
    HOUSES, NAME, SLOTS, VICTIMS, after_receivers, drain, keep, make, post, recv, send, settle,
};
use crate::library::board::{Actor, Done, wrong};
use crate::library::case::{Case, Order};
use crossdock::channel::{Receiver, Sender};
use crossdock::{Array, ArrayMut, arena};

/// Bytes of an array that has a file to itself.
const LARGE_BYTES: usize = 1 << 20;

pub(super) fn play() -> Play {
    let cases = vec![
        Case::new("drop, received ArrayMut", drops_received, sends).brief(),
        Case::new("drop, received Array, its sender keeps it", drops_shared, keeps_clone),
        Case::new("drop, one's own", drops_own, receives).brief(),
        Case::new("loan, of a size with a file to itself", loans_large, receives),
        Case::new("trim", trims, receives),
        Case::new("drop, the last array of a dead process", drops_last, receives)
            .ancestor(Order::Before, sends_and_dies),
    ];
    Play { name: "array", cases }
}

fn drops_received(a: Actor) -> Done {
    let rx = Receiver::<ArrayMut<u64>>::open(NAME)?;
    let array = recv(a, &rx)?;
    a.begin();
    drop(array);
    keep(rx)
}

fn drops_shared(a: Actor) -> Done {
    let rx = Receiver::<Array<u64>>::open(NAME)?;
    let array = recv(a, &rx)?;
    a.begin();
    drop(array);
    keep(rx)
}

fn drops_own(a: Actor) -> Done {
    let tx = Sender::<ArrayMut<u64>>::open(NAME)?;
    let array = tx.loan(1)?;
    a.begin();
    drop(array);
    keep(tx)
}

fn loans_large(a: Actor) -> Done {
    let tx = Sender::<ArrayMut<u64>>::open(NAME)?;
    // With its arena made and one large array in use.
    let used = ArrayMut::<u8>::uninit(LARGE_BYTES)?;
    a.begin();
    let array = tx.loan(LARGE_BYTES / 8)?;
    keep((tx, used, array))
}

fn trims(a: Actor) -> Done {
    let tx = Sender::<ArrayMut<u64>>::open(NAME)?;
    drop(tx.loan(LARGE_BYTES / 8)?);
    let used = ArrayMut::<u8>::uninit(LARGE_BYTES / 2)?;
    a.begin();
    arena::trim()?;
    keep((tx, used))
}

/// Has what was a dead process's, whose death has been noticed.
fn drops_last(a: Actor) -> Done {
    let rx = Receiver::<ArrayMut<u64>>::open(NAME)?;
    let array = recv(a, &rx)?;
    drain(a, &rx)?;
    a.begin();
    drop(array);
    keep(rx)
}

fn sends_and_dies(a: Actor) -> Done {
    let tx = Sender::<ArrayMut<u64>>::open(NAME)?;
    send(a, &tx, VICTIMS)?;
    keep(tx)
}

fn receives(a: Actor) -> Done {
    let rx = Receiver::<ArrayMut<u64>>::create(NAME, SLOTS)?;
    a.ready();
    a.await_go();
    // The victim may never have sent, so the house does.
    let tx = Sender::<ArrayMut<u64>>::open(NAME)?;
    drop(rx);
    after_receivers(a, tx)
}

fn sends(a: Actor) -> Done {
    let tx = Sender::<ArrayMut<u64>>::create(NAME, SLOTS)?;
    for _ in 0..SLOTS {
        send(a, &tx, HOUSES)?;
    }
    a.ready();
    a.await_go();
    after_receivers(a, tx)
}

fn keeps_clone(a: Actor) -> Done {
    let tx = Sender::<Array<u64>>::create(NAME, SLOTS)?;
    let id = a.next_id(HOUSES);
    let array: Array<u64> = make(id)?;
    post(a, &tx, id, array.clone())?;
    a.ready();
    a.await_go();
    // It may write again, as nobody else lives who has it.
    let rx = Receiver::<Array<u64>>::open(NAME)?;
    settle(a, &rx)?;
    match array.try_into_mut() {
        Ok(array) => drop(array),
        Err(_) => return wrong("an array that nobody else has cannot be written"),
    }
    drop(rx);
    after_receivers(a, tx)
}
