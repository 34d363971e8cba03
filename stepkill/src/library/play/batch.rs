//! Several messages in one call: the victim dies in the middle of it, and what it had sent by then is a part of what it
//! meant to send, from the first message on.

use super::Play;
use super::traffic::{HOUSES, IN_VAIN, NAME, VICTIMS, audit, check_order, keep, make, send_asleep};
use crate::library::board::{Actor, Done, LEN, Phase, Wrong, element, wrong};
use crate::library::case::{Case, Sleeper};
use crossdock::channel::{Message, Receiver, RecvError, RecvTimeoutError, Sender};
use crossdock::{Array, ArrayMut};
use std::ops::Range;

type Unique = ArrayMut<u64>;
type Shared = Array<u64>;
/// The first elements of a message.
type Record = [u64; 4];

/// Slots of the channel, where a batch is to fit in.
const ROOM: usize = 4;
/// Messages of a batch. The first one goes the usual way.
const BATCH: usize = 3;

pub(super) fn play() -> Play {
    let cases = vec![
        Case::new("send_many, ArrayMut", sends_many::<Unique>, receives::<Unique>)
            .brief()
            .recoverer(receives_too::<Unique>),
        Case::new("send_many, Array", sends_many::<Shared>, receives::<Shared>),
        Case::new("send_many, records", sends_many::<Record>, receives::<Record>)
            .recoverer(receives_too::<Record>),
        Case::new("recv_many, ArrayMut", receives_many::<Unique>, sends::<Unique>)
            .brief()
            .recoverer(settles::<Unique>),
        Case::new("recv_many, Array", receives_many::<Shared>, sends::<Shared>),
        Case::new("recv_many, records", receives_many::<Record>, sends::<Record>)
            .recoverer(settles::<Record>),
        Case::new("send_many to a sleeper", sends_many::<Unique>, sleeps_to_receive)
            .sleeper(Sleeper::Before),
        Case::new(
            "recv_many, queue full, a sender asleep",
            receives_many::<Unique>,
            sleeps_at_full,
        )
        .brief()
        .sleeper(Sleeper::Before),
        Case::new("send_many, queue full, another sender behind", sends_too_many, sleeps_to_send)
            .other(makes_room)
            .sleeper(Sleeper::Behind),
    ];
    Play { name: "batch", cases }
}

/// A kind of message that comes in batches.
trait Item: Message {
    fn of(id: usize) -> Result<Self, Wrong>;
    /// The elements of the message that this is, or of none.
    fn words(&self) -> Vec<u64>;
}

impl Item for Unique {
    fn of(id: usize) -> Result<Self, Wrong> {
        make(id)
    }

    fn words(&self) -> Vec<u64> {
        self.to_vec()
    }
}

impl Item for Shared {
    fn of(id: usize) -> Result<Self, Wrong> {
        make(id)
    }

    fn words(&self) -> Vec<u64> {
        self.to_vec()
    }
}

impl Item for Record {
    fn of(id: usize) -> Result<Self, Wrong> {
        Ok(std::array::from_fn(|index| element(id, index)))
    }

    fn words(&self) -> Vec<u64> {
        let [first, ..] = *self;
        let id = first as usize / LEN;
        let is_whole = self.iter().enumerate().all(|(index, word)| *word == element(id, index));
        if is_whole { (0..LEN).map(|index| element(id, index)).collect() } else { self.to_vec() }
    }
}

/// Makes so many messages of a range and sends them in one call.
fn send_many<M: Item>(a: Actor, tx: &Sender<M>, ids: Range<usize>, count: usize) -> Done {
    let batch = prepare(a, ids, count)?;
    post_many(a, tx, batch)
}

/// So many messages, and their numbers.
fn prepare<M: Item>(
    a: Actor,
    ids: Range<usize>,
    count: usize,
) -> Result<(Range<usize>, Vec<M>), Wrong> {
    let first = a.next_id(ids);
    let messages: Result<_, _> = (first..first + count).map(M::of).collect();
    Ok((first..first + count, messages?))
}

fn post_many<M: Item>(a: Actor, tx: &Sender<M>, (ids, messages): (Range<usize>, Vec<M>)) -> Done {
    ids.clone().for_each(|id| a.sending(id));
    tx.send_many(messages).map_err(|(_, error)| error)?;
    ids.for_each(|id| a.sent(id));
    Ok(())
}

/// Receives up to `max` messages and notes which they are; that nobody is left to send one ends it as well.
fn recv_many<M: Item>(
    a: Actor,
    rx: &Receiver<M>,
    max: usize,
    ids: &mut Vec<usize>,
) -> Result<Vec<M>, Wrong> {
    // A death may take all of them with it.
    (0..max).for_each(|_| a.receiving());
    let messages = match rx.recv_many(max) {
        Ok(messages) | Err((messages, RecvError::Disconnected)) => messages,
        Err((_, error)) => return Err(error.into()),
    };
    for message in &messages {
        ids.extend(a.received(Some(&message.words()))?);
    }
    for _ in messages.len()..max {
        a.received(None)?;
    }
    Ok(messages)
}

/// Receives in batches until every sender has gone, or died and been noticed.
fn drain<M: Item>(a: Actor, rx: &Receiver<M>, ids: &mut Vec<usize>) -> Done {
    while !recv_many(a, rx, 2, ids)?.is_empty() {}
    Ok(())
}

/// Receives until nothing has come for more than a slice: the dead have been looked for then.
fn settle<M: Item>(a: Actor, rx: &Receiver<M>, ids: &mut Vec<usize>) -> Done {
    loop {
        a.receiving();
        let message = rx.recv_timeout(IN_VAIN);
        ids.extend(a.received(message.as_ref().ok().map(M::words).as_deref())?);
        match message {
            Ok(_) => {}
            Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether the messages came in order, and those of the victim without a gap: who dies in a batch has sent the first ones
/// of it.
fn check_ids(ids: &[usize]) -> Done {
    check_order(ids)?;
    let of_victim = || ids.iter().filter(|id| VICTIMS.contains(id));
    let is_without_gap = of_victim().zip(of_victim().skip(1)).all(|(id, next)| id + 1 == *next);
    if is_without_gap { Ok(()) } else { wrong(format_args!("messages are missing in {ids:?}")) }
}

/// Sends and receives more messages than there are slots, in batches: nothing of the dead is in the way.
fn lap<M: Item>(a: Actor, tx: &Sender<M>, rx: &Receiver<M>) -> Done {
    for _ in 0..ROOM {
        send_many(a, tx, HOUSES, 2)?;
        let mut ids = Vec::new();
        while ids.len() < 2 {
            recv_many(a, rx, 2, &mut ids)?;
        }
    }
    Ok(())
}

// What the victim does.

/// Has sent one, and dies of the next ones.
fn sends_many<M: Item>(a: Actor) -> Done {
    let tx = Sender::<M>::open(NAME)?;
    send_many(a, &tx, VICTIMS, 1)?;
    let batch = prepare(a, VICTIMS, BATCH)?;
    a.begin();
    post_many(a, &tx, batch)?;
    keep(tx)
}

/// There is room for all but one. It looks for the dead before it sleeps.
fn sends_too_many(a: Actor) -> Done {
    let tx = Sender::<Unique>::open(NAME)?;
    send_many(a, &tx, VICTIMS, 1)?;
    let batch = prepare(a, VICTIMS, ROOM)?;
    a.let_a_slice_pass();
    a.begin();
    post_many(a, &tx, batch)?;
    keep(tx)
}

/// Has received one, which it keeps, and dies of the next ones.
fn receives_many<M: Item>(a: Actor) -> Done {
    let rx = Receiver::<M>::open(NAME)?;
    let first = recv_many(a, &rx, 1, &mut Vec::new())?;
    a.begin();
    let more = recv_many(a, &rx, BATCH, &mut Vec::new())?;
    keep((rx, first, more))
}

// Who dies after that.

fn receives_too<M: Item>(a: Actor) -> Done {
    let rx = Receiver::<M>::open(NAME)?;
    a.let_a_slice_pass();
    a.await_go();
    drain(a, &rx, &mut Vec::new())?;
    keep(rx)
}

fn settles<M: Item>(a: Actor) -> Done {
    let rx = Receiver::<M>::open(NAME)?;
    a.let_a_slice_pass();
    a.await_go();
    settle(a, &rx, &mut Vec::new())?;
    keep(rx)
}

// Who lives besides the house.

/// Makes room for one when the victim sleeps; and further on whenever the queue is full, but says nothing as long as
/// there is room.
fn makes_room(a: Actor) -> Done {
    let rx = Receiver::<Unique>::open(NAME)?;
    a.ready();
    a.await_phase(Phase::Part);
    recv_many(a, &rx, 1, &mut Vec::new())?;
    while a.is_before(Phase::Go) || !a.has_house_gone_on() {
        if rx.is_full() {
            recv_many(a, &rx, 1, &mut Vec::new())?;
        }
        std::thread::yield_now();
    }
    // Whoever leaves wakes all, so not before.
    a.await_phase(Phase::End);
    drop(rx);
    a.leave()
}

// The house.

fn receives<M: Item>(a: Actor) -> Done {
    let rx = Receiver::<M>::create(NAME, ROOM)?;
    a.ready();
    a.await_go();
    after_senders(a, rx, Vec::new())
}

/// Takes the first message, and sleeps until more come, or never will.
fn sleeps_to_receive(a: Actor) -> Done {
    let rx = Receiver::<Unique>::create(NAME, ROOM)?;
    a.ready();
    a.await_phase(Phase::Sleep);
    let mut ids = Vec::new();
    recv_many(a, &rx, 1, &mut ids)?;
    a.fall_asleep();
    after_senders(a, rx, ids)
}

/// Takes what comes until it hears that all senders have gone, uses the channel further, and looks at the books.
fn after_senders<M: Item>(a: Actor, rx: Receiver<M>, mut ids: Vec<usize>) -> Done {
    drain(a, &rx, &mut ids)?;
    a.go_on();
    // Another one that died may have taken some of them.
    if !a.are_two_dead() {
        check_ids(&ids)?;
    }
    a.await_go();
    let tx = Sender::open(NAME)?;
    lap(a, &tx, &rx)?;
    if a.are_two_dead() {
        settle(a, &rx, &mut ids)?;
    }
    a.check_messages()?;
    drop((tx, rx));
    audit(a)
}

fn sends<M: Item>(a: Actor) -> Done {
    let tx = Sender::<M>::create(NAME, ROOM)?;
    send_many(a, &tx, HOUSES, ROOM)?;
    a.ready();
    a.await_go();
    after_receivers(a, tx)
}

/// Fills the queue, and sleeps until there is room for two more. (The victim has taken one before.)
fn sleeps_at_full(a: Actor) -> Done {
    let tx = Sender::<Unique>::create(NAME, ROOM)?;
    send_many(a, &tx, HOUSES, ROOM)?;
    a.ready();
    a.await_phase(Phase::Sleep);
    send_many(a, &tx, HOUSES, 1)?;
    send_asleep(a, &tx)?;
    a.go_on();
    a.await_go();
    after_receivers(a, tx)
}

/// Has the channel, and sleeps behind the victim until there is room.
fn sleeps_to_send(a: Actor) -> Done {
    let tx = Sender::<Unique>::create(NAME, ROOM)?;
    let batch = prepare(a, HOUSES, 1)?;
    a.ready();
    a.fall_asleep();
    post_many(a, &tx, batch)?;
    a.go_on();
    a.await_go();
    after_receivers(a, tx)
}

/// Takes what comes for a moment, uses the channel further, and looks at the books.
fn after_receivers<M: Item>(a: Actor, tx: Sender<M>) -> Done {
    let rx = Receiver::open(NAME)?;
    let mut ids = Vec::new();
    settle(a, &rx, &mut ids)?;
    a.go_on();
    check_ids(&ids)?;
    lap(a, &tx, &rx)?;
    a.check_messages()?;
    drop((tx, rx));
    audit(a)
}
