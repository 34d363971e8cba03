//! Messages, and how a process that lives sees whether all is in order.

use crate::library::board::{Actor, Done, LEN, Phase, Wrong, element, wrong};
use crate::library::ground::{files, names};
use crossdock::channel::{ArrayMessage, Receiver, RecvError, RecvTimeoutError, SendError, Sender};
use crossdock::{Array, ArrayMut, arena, registry};
use std::collections::BTreeSet;
use std::ops::{Deref, Range};
use std::time::Duration;

/// The channel of all trials.
pub(super) const NAME: &str = "channel";
/// Its slots.
pub(super) const SLOTS: usize = 2;
/// Numbers of messages, by who sends them.
pub(super) const VICTIMS: Range<usize> = 1..20;
pub(super) const HOUSES: Range<usize> = 20..60;
pub(super) const OTHERS: Range<usize> = 60..80;
/// How long a receive waits in vain: a slice and more, so that it has looked for the dead.
pub(super) const IN_VAIN: Duration = Duration::from_millis(30);

/// A kind of message that the trials send.
pub(super) trait Parcel: ArrayMessage<Element = u64> + Deref<Target = [u64]> {
    fn of(array: ArrayMut<u64>) -> Self;
}

impl Parcel for ArrayMut<u64> {
    fn of(array: Self) -> Self {
        array
    }
}

impl Parcel for Array<u64> {
    fn of(array: ArrayMut<u64>) -> Self {
        array.freeze()
    }
}

/// The elements of a message, in an array of one's own.
pub(super) fn make<M: Parcel>(id: usize) -> Result<M, Wrong> {
    Ok(M::of(ArrayMut::from_fn(LEN, |index| element(id, index))?))
}

/// Sends a message that is made already.
pub(super) fn post<M: Parcel>(actor: Actor, tx: &Sender<M>, id: usize, message: M) -> Done {
    actor.sending(id);
    tx.send(message)?;
    actor.sent(id);
    Ok(())
}

/// Makes the next message of a range and sends it.
pub(super) fn send<M: Parcel>(actor: Actor, tx: &Sender<M>, ids: Range<usize>) -> Done {
    let id = actor.next_id(ids);
    post(actor, tx, id, make(id)?)
}

/// Falls asleep until there is room for one more message. If nobody makes any, the house is told that nobody is left.
pub(super) fn send_asleep(actor: Actor, tx: &Sender<ArrayMut<u64>>) -> Done {
    let id = actor.next_id(HOUSES);
    let message = make(id)?;
    actor.fall_asleep();
    match tx.send(message) {
        Ok(()) => {
            actor.sending(id);
            actor.sent(id);
            Ok(())
        }
        Err(SendError::Disconnected(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Receives a message; an error if there is nobody left to send one.
pub(super) fn recv<M: Parcel>(actor: Actor, rx: &Receiver<M>) -> Result<M, Wrong> {
    actor.receiving();
    let message = rx.recv();
    actor.received(message.as_deref().ok())?;
    Ok(message?)
}

/// Receives until every sender has gone, or died and been noticed.
pub(super) fn drain<M: Parcel>(actor: Actor, rx: &Receiver<M>) -> Done {
    loop {
        actor.receiving();
        let message = rx.recv();
        actor.received(message.as_deref().ok())?;
        match message {
            Ok(_) => {}
            Err(RecvError::Disconnected) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Receives until nothing has come for more than a slice: the dead have been looked for then.
pub(super) fn settle<M: Parcel>(actor: Actor, rx: &Receiver<M>) -> Done {
    loop {
        actor.receiving();
        let message = rx.recv_timeout(IN_VAIN);
        actor.received(message.as_deref().ok())?;
        match message {
            Ok(_) => {}
            Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// The end of a victim that keeps what it has.
pub(super) fn keep<T>(kept: T) -> Done {
    std::mem::forget(kept);
    Ok(())
}

/// Sends and receives, one by one, more messages than there are slots: none of them is in the way.
pub(super) fn lap<M: Parcel>(actor: Actor, tx: &Sender<M>, rx: &Receiver<M>) -> Done {
    for _ in 0..=SLOTS {
        send(actor, tx, HOUSES)?;
        drop(recv(actor, rx)?);
    }
    Ok(())
}

/// What the house does with a channel whose receiver it is: takes what comes until it hears that all
/// senders have gone, uses it further, and looks at the books.
pub(super) fn after_senders<M: Parcel>(actor: Actor, rx: Receiver<M>) -> Done {
    use_further(actor, rx)?;
    audit(actor)
}

/// As [`after_senders`]; but who died may have left the channel before, and then nobody is told.
pub(super) fn after_leavers<M: Parcel>(actor: Actor, rx: Receiver<M>) -> Done {
    use_further(actor, rx)?;
    registry::gc(true)?;
    audit(actor)
}

fn use_further<M: Parcel>(actor: Actor, rx: Receiver<M>) -> Done {
    drain(actor, &rx)?;
    actor.go_on();
    // A house that was asleep is no longer in the victim's way.
    actor.await_go();
    let tx = Sender::open(NAME)?;
    lap(actor, &tx, &rx)?;
    if actor.are_two_dead() {
        settle(actor, &rx)?;
    }
    actor.check_messages()
}

/// What the house does with a channel whose sender it is, as those do who cannot know who else is there:
/// takes what comes for a moment, uses it further, and looks at the books.
pub(super) fn after_receivers<M: Parcel>(actor: Actor, tx: Sender<M>) -> Done {
    let rx = Receiver::open(NAME)?;
    settle(actor, &rx)?;
    actor.go_on();
    lap(actor, &tx, &rx)?;
    actor.check_messages()?;
    drop((tx, rx));
    audit(actor)
}

/// As [`after_receivers`]; but who died may not have come to the channel, and then nobody is told.
pub(super) fn after_comers<M: Parcel>(actor: Actor, tx: Sender<M>) -> Done {
    let rx = Receiver::open(NAME)?;
    settle(actor, &rx)?;
    actor.go_on();
    lap(actor, &tx, &rx)?;
    actor.check_messages()?;
    drop((tx, rx));
    registry::gc(true)?;
    audit(actor)
}

/// What a process does that comes after all deaths: it has the name, or makes it anew.
pub(super) fn newcomer(actor: Actor) -> Done {
    actor.await_go();
    let rx = Receiver::<ArrayMut<u64>>::open_or_create(NAME, SLOTS)?;
    let tx = Sender::open(NAME)?;
    lap(actor, &tx, &rx)?;
    actor.go_on();
    drop((tx, rx));
    audit(actor)
}

/// Whether the messages of each sender came in the order in which they were sent, and none twice.
pub(super) fn check_order(ids: &[usize]) -> Done {
    let is_in_order = |range: Range<usize>| {
        let of_one = ids.iter().filter(|id| range.contains(id));
        of_one.is_sorted_by(|first, second| first < second)
    };
    if [VICTIMS, HOUSES, OTHERS].into_iter().all(is_in_order) {
        return Ok(());
    }
    wrong(format_args!("messages came in the order {ids:?}"))
}

/// Of this process's memory no more chunks are held than that.
pub(super) fn check_held(chunks_max: u64) -> Done {
    let stats = arena::stats()?;
    if stats.held_chunks <= chunks_max {
        return Ok(());
    }
    wrong(format_args!(
        "{} bytes in {} chunks are held, where {chunks_max} chunks are",
        stats.held_bytes, stats.held_chunks
    ))
}

/// Nobody holds anything of this process's memory, which can be used again, and of the arenas of the dead
/// nothing is left.
pub(super) fn audit(actor: Actor) -> Done {
    let before = arena::stats()?;
    if before.held_chunks != 0 || before.held_bytes != 0 {
        return wrong(format_args!(
            "{} bytes in {} chunks are held by nobody",
            before.held_bytes, before.held_chunks
        ));
    }
    // As many arrays at once as there is memory for: if anything were lost, some of it would be fresh.
    let arrays: Result<Vec<ArrayMut<u64>>, _> =
        (0..before.chunks).map(|_| ArrayMut::uninit(LEN)).collect();
    drop(arrays?);
    let now = arena::stats()?;
    if now.chunks > before.chunks {
        return wrong("idle memory was not used again");
    }
    let arenas: BTreeSet<String> = files(&names())
        .iter()
        .filter_map(|name| name.strip_prefix(".arena."))
        .map(|name| name.split('.').take(2).collect::<Vec<_>>().join("."))
        .collect();
    let most = 1 + actor.other_arenas();
    if arenas.len() > most {
        return wrong(format_args!(
            "{:?} are there, where {most} live who have an arena",
            files(&names())
        ));
    }
    Ok(())
}

/// Joins when all who are to die are dead, and stays until all is over.
pub(super) fn bystander(actor: Actor) -> Done {
    actor.has_arena();
    arena::stats()?;
    actor.ready();
    actor.await_phase(Phase::End);
    actor.leave()
}
