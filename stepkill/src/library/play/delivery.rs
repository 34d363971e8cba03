//! Queues whose receivers acknowledge: what the dead had and had not acknowledged comes again, what they had never
//! does, and of all messages none is lost.

use super::Play;
use super::traffic::{
    HOUSES, IN_VAIN, NAME, OTHERS, Parcel, SLOTS, audit, check_held, keep, make, send,
};
use crate::library::board::{Actor, Done, Phase, Wrong, identify, wrong};
use crate::library::case::{Case, Sleeper};
use crossdock::channel::{ChannelOptions, Delivery, Receiver, RecvTimeoutError, Sender};
use crossdock::{Array, ArrayMut};

type Unique = ArrayMut<u64>;
type Shared = Array<u64>;
type Tx = Sender<Unique>;
type Rx = Receiver<Unique>;

/// Deliveries of a message, where it is not to become a dead letter: two who die, one of them twice, and the house.
const DELIVERIES: u16 = 4;
/// Messages that can be without acknowledgement at once.
const ROWS: u32 = 4;

pub(super) fn play() -> Play {
    let cases = vec![
        Case::new("deliver", delivers_second::<Unique>, has_tx::<Unique>)
            .brief()
            .recoverer(delivers_all),
        Case::new("deliver, Array", delivers_second::<Shared>, has_tx::<Shared>),
        Case::new("deliver, what was given back", delivers_again, has_tx::<Unique>)
            .recoverer(delivers_all),
        Case::new("deliver, asleep", delivers_asleep, sends_later),
        Case::new("deliver, queue full, a sender asleep", delivers_both, sleeps_to_send)
            .sleeper(Sleeper::Before),
        Case::new("deliver, asleep, another receiver behind", delivers_asleep, sleeps_to_deliver)
            .other(sends_one)
            .sleeper(Sleeper::Behind),
        Case::new("acknowledge", acknowledges, has_tx::<Unique>).brief().recoverer(delivers_all),
        Case::new("recv, which acknowledges", receives, has_tx::<Unique>),
        Case::new("give back", gives_back, has_tx::<Unique>).recoverer(delivers_all),
        Case::new("give back to a sleeper", gives_back, sleeps_for_what_comes_back)
            .brief()
            .sleeper(Sleeper::Before),
        Case::new("give back for the last time", gives_back, expects_letters),
        Case::new("dead letter", reads_letter, has_letter).recoverer(reads_all_letters),
    ];
    Play { name: "delivery", cases }
}

fn options(deliveries: u16) -> ChannelOptions {
    ChannelOptions::new(SLOTS).redeliver(deliveries).max_unacknowledged(ROWS)
}

/// Has a message delivered; an error if there is nobody left to send one.
fn deliver<M: Parcel>(a: Actor, rx: &Receiver<M>) -> Result<Delivery<M>, Wrong> {
    a.receiving();
    let delivery = rx.deliver();
    note(a, delivery.as_ref().ok())?;
    Ok(delivery?)
}

/// As [`deliver`]; `None` when nothing has come for more than a slice: the dead have been looked for then.
fn deliver_soon<M: Parcel>(a: Actor, rx: &Receiver<M>) -> Result<Option<Delivery<M>>, Wrong> {
    a.receiving();
    let delivery = rx.deliver_timeout(IN_VAIN);
    note(a, delivery.as_ref().ok())?;
    match delivery {
        Ok(delivery) => Ok(Some(delivery)),
        Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn note<M: Parcel>(a: Actor, delivery: Option<&Delivery<M>>) -> Done {
    let id = a.received(delivery.map(|delivery| &***delivery))?;
    match (id, delivery) {
        (Some(id), Some(delivery)) => a.check_delivery(id, delivery.deliveries()),
        _ => Ok(()),
    }
}

fn acknowledge<M: Parcel>(a: Actor, delivery: Delivery<M>) -> Result<M, Wrong> {
    let id = identify(&delivery)?;
    a.settling(id);
    let message = delivery.acknowledge().map_err(|error| Wrong(format!("{error:?}")))?;
    a.settled(id);
    Ok(message)
}

/// Looks for the dead for more than a slice, where there is nothing to be delivered.
fn find_dead<M: Parcel>(a: Actor, rx: &Receiver<M>) -> Done {
    match deliver_soon(a, rx)? {
        Some(_) => wrong("a dead letter was delivered"),
        None => Ok(()),
    }
}

/// Takes and acknowledges what comes. Twice, all has come that there is: at the very end of its time the first one
/// may find somebody dead, whose messages come then.
fn settle<M: Parcel>(a: Actor, rx: &Receiver<M>) -> Done {
    while let Some(delivery) = deliver_soon(a, rx)? {
        acknowledge(a, delivery)?;
    }
    Ok(())
}

/// Reads all dead letters and acknowledges them; how many there were.
fn settle_letters<M: Parcel>(a: Actor, rx: &Receiver<M>, deliveries: u64) -> Result<usize, Wrong> {
    let mut count = 0;
    for letter in rx.dead_letters() {
        let letter = letter?;
        let id = identify(&letter)?;
        if a.is_settled(id) {
            return Err(Wrong(format!("message {id} is a dead letter after it was settled")));
        }
        if letter.deliveries() != deliveries {
            return Err(Wrong(format!("a dead letter came {} times", letter.deliveries())));
        }
        acknowledge(a, letter)?;
        count += 1;
    }
    Ok(count)
}

// What the victim does.

/// Has one, which it does not acknowledge, and dies of the second one.
fn delivers_second<M: Parcel>(a: Actor) -> Done {
    let rx = Receiver::<M>::open(NAME)?;
    let first = deliver(a, &rx)?;
    a.begin();
    let second = deliver(a, &rx)?;
    keep((rx, first, second))
}

/// What it gave back itself.
fn delivers_again(a: Actor) -> Done {
    let rx = Rx::open(NAME)?;
    deliver(a, &rx)?.give_back();
    a.begin();
    let again = deliver(a, &rx)?;
    keep((rx, again))
}

/// There is nothing to deliver when it begins. It looks for the dead before it sleeps.
fn delivers_asleep(a: Actor) -> Done {
    let rx = Rx::open(NAME)?;
    a.let_a_slice_pass();
    a.begin();
    let delivery = deliver(a, &rx)?;
    keep((rx, delivery))
}

/// Makes room by each, and acknowledges none.
fn delivers_both(a: Actor) -> Done {
    let rx = Rx::open(NAME)?;
    a.begin();
    let first = deliver(a, &rx)?;
    let second = deliver(a, &rx)?;
    keep((rx, first, second))
}

fn acknowledges(a: Actor) -> Done {
    let rx = Rx::open(NAME)?;
    let delivery = deliver(a, &rx)?;
    a.begin();
    let message = acknowledge(a, delivery)?;
    keep((rx, message))
}

/// The first message of the house.
fn receives(a: Actor) -> Done {
    let rx = Rx::open(NAME)?;
    a.settling(HOUSES.start);
    a.begin();
    a.receiving();
    let message = rx.recv();
    a.settled(HOUSES.start);
    a.received(message.as_deref().ok())?;
    keep((rx, message?))
}

fn gives_back(a: Actor) -> Done {
    let rx = Rx::open(NAME)?;
    let delivery = deliver(a, &rx)?;
    a.begin();
    delivery.give_back();
    keep(rx)
}

fn reads_letter(a: Actor) -> Done {
    let rx = Rx::open(NAME)?;
    a.begin();
    let letter = rx.dead_letters().next();
    let letter = letter.ok_or_else(|| Wrong("there is no dead letter".to_owned()))?;
    let message = acknowledge(a, letter?)?;
    keep((rx, message))
}

// Who dies after that.

fn delivers_all(a: Actor) -> Done {
    let rx = Rx::open(NAME)?;
    a.let_a_slice_pass();
    a.await_go();
    let mut deliveries = Vec::new();
    while let Some(delivery) = deliver_soon(a, &rx)? {
        deliveries.push(delivery);
    }
    keep((rx, deliveries))
}

fn reads_all_letters(a: Actor) -> Done {
    let rx = Rx::open(NAME)?;
    a.let_a_slice_pass();
    a.await_go();
    find_dead(a, &rx)?;
    settle_letters(a, &rx, 1)?;
    keep(rx)
}

// Who lives besides the house.

/// Sends one when the victim sleeps, and one more whenever none is left; but says nothing as long as one is
/// there.
fn sends_one(a: Actor) -> Done {
    a.has_arena();
    let tx = Tx::open(NAME)?;
    a.ready();
    a.await_phase(Phase::Part);
    while a.is_before(Phase::Go) || !a.has_house_gone_on() {
        if tx.is_empty() {
            send(a, &tx, OTHERS)?;
        }
        std::thread::yield_now();
    }
    drop(tx);
    a.leave()
}

// The house.

fn has_tx<M: Parcel>(a: Actor) -> Done {
    let tx = options(DELIVERIES).create_sender::<M>(NAME)?;
    for _ in 0..SLOTS {
        send(a, &tx, HOUSES)?;
    }
    a.ready();
    a.await_go();
    after_receivers(a, tx)
}

/// Sends when the victim sleeps.
fn sends_later(a: Actor) -> Done {
    let tx = options(DELIVERIES).create_sender::<Unique>(NAME)?;
    a.ready();
    a.await_phase(Phase::Part);
    send(a, &tx, HOUSES)?;
    a.await_go();
    after_receivers(a, tx)
}

/// Fills the queue, and sleeps until there is room for one more, or nobody to take one.
fn sleeps_to_send(a: Actor) -> Done {
    let tx = options(DELIVERIES).create_sender::<Unique>(NAME)?;
    // So that it is not told that nobody is left.
    let rx = Rx::open(NAME)?;
    for _ in 0..SLOTS {
        send(a, &tx, HOUSES)?;
    }
    let id = a.next_id(HOUSES);
    let message = make(id)?;
    a.ready();
    a.fall_asleep();
    match tx.send_timeout(message, IN_VAIN) {
        Ok(()) => {
            a.sending(id);
            a.sent(id);
        }
        // The victim has made no room.
        Err(error) => drop(error),
    }
    a.go_on();
    a.await_go();
    drop(rx);
    after_receivers(a, tx)
}

/// Has the channel, and sleeps behind the victim until there is a message: that one, or again that one.
fn sleeps_to_deliver(a: Actor) -> Done {
    let rx = options(DELIVERIES).create_receiver::<Unique>(NAME)?;
    a.ready();
    a.fall_asleep();
    acknowledge(a, deliver(a, &rx)?)?;
    a.go_on();
    a.await_go();
    let tx = Tx::open(NAME)?;
    after_receivers(a, tx)
}

/// Its message is the victim's, and it sleeps until that comes back.
fn sleeps_for_what_comes_back(a: Actor) -> Done {
    let tx = options(DELIVERIES).create_sender::<Unique>(NAME)?;
    let rx = Rx::open(NAME)?;
    send(a, &tx, HOUSES)?;
    a.ready();
    a.fall_asleep();
    let again = deliver(a, &rx)?;
    a.go_on();
    if again.deliveries() != 2 {
        return wrong(format_args!("it has come back {} times", again.deliveries()));
    }
    acknowledge(a, again)?;
    a.await_go();
    after_receivers(a, tx)
}

/// Its message is delivered once, to the victim, and not acknowledged.
fn expects_letters(a: Actor) -> Done {
    let tx = options(1).create_sender::<Unique>(NAME)?;
    send(a, &tx, HOUSES)?;
    a.ready();
    a.await_go();
    let rx = Rx::open(NAME)?;
    find_dead(a, &rx)?;
    if settle_letters(a, &rx, 1)? != 1 {
        return wrong("a message was not acknowledged and is no dead letter");
    }
    after_receivers(a, tx)
}

/// There is a dead letter from the beginning.
fn has_letter(a: Actor) -> Done {
    let tx = options(1).create_sender::<Unique>(NAME)?;
    let rx = Rx::open(NAME)?;
    send(a, &tx, HOUSES)?;
    deliver(a, &rx)?.give_back();
    a.ready();
    a.await_go();
    find_dead(a, &rx)?;
    settle_letters(a, &rx, 1)?;
    after_receivers(a, tx)
}

/// What the house does when all who are to die are dead: takes and acknowledges what there is, uses the channel
/// further, and looks at the books.
fn after_receivers<M: Parcel>(a: Actor, tx: Sender<M>) -> Done {
    let rx = Receiver::<M>::open(NAME)?;
    settle(a, &rx)?;
    a.go_on();
    settle(a, &rx)?;
    for _ in 0..=SLOTS {
        send(a, &tx, HOUSES)?;
        acknowledge(a, deliver(a, &rx)?)?;
    }
    // As many at once as can be: no row of the dead is in use.
    let mut deliveries = Vec::new();
    for _ in 0..ROWS {
        send(a, &tx, HOUSES)?;
        deliveries.push(deliver(a, &rx)?);
    }
    for delivery in deliveries {
        acknowledge(a, delivery)?;
    }
    if settle_letters(a, &rx, 0)? != 0 {
        return wrong("a message is a dead letter");
    }
    a.check_settled()?;
    // While the channel is there: it holds nothing that was acknowledged.
    check_held(0)?;
    drop((tx, rx));
    audit(a)
}
