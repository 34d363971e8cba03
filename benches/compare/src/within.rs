//! Both ends of a carrier in one process, a thread each.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use crate::Result;
use crate::control::{Control, Request};
use crate::place::Place;
use crate::play::{Carry, hand_over, take_over};

/// Carries whole arrays from `a` to `b` for as long as the parent wants.
pub(crate) fn passes(
    control: &mut Control,
    place: &Place,
    a: impl Carry,
    b: impl Carry + Send,
) -> Result<()> {
    let (order, orders) = channel();
    let (stamp, stamps) = channel();
    thread::scope(|scope| {
        let follower = scope.spawn(move || follow(place, b, &orders, &stamp));
        // Whoever ends lets go of its ends, so that the other one ends as well.
        let led = lead(control, place, a, order, &stamps);
        let followed = follower.join().map_err(|_| "the receiving thread panicked")?;
        match (led, followed) {
            (Err(led), Err(followed)) => Err(format!("{led}; the other thread: {followed}").into()),
            (led, followed) => led.and(followed),
        }
    })
}

/// Obeys the parent: orders an array from B, sends it, and answers with the stamps of both.
fn lead(
    control: &mut Control,
    place: &Place,
    mut a: impl Carry,
    order: Sender<f64>,
    stamps: &Receiver<[u64; 2]>,
) -> Result<()> {
    place.stand_on(0)?;
    control.ready()?;
    loop {
        match control.next()? {
            Request::Pass { value } => {
                order.send(value)?;
                let [start_ns, filled_ns] = hand_over(&mut a, value)?;
                let [got_ns, read_ns] = stamps.recv()?;
                control.say(&format!("passed {start_ns} {filled_ns} {got_ns} {read_ns}"))?;
            }
            Request::Quit => return Ok(()),
            other => return Err(format!("a carrier cannot {other:?}").into()),
        }
    }
}

/// Receives what is ordered until nobody orders any more.
fn follow(
    place: &Place,
    mut b: impl Carry,
    orders: &Receiver<f64>,
    stamp: &Sender<[u64; 2]>,
) -> Result<()> {
    place.stand_on(1)?;
    for value in orders {
        stamp.send(take_over(&mut b, place.len(), value)?)?;
    }
    Ok(())
}
