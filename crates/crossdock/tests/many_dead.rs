//! Many processes that die at once.
#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

mod common;

use common::{Actor, Lab, await_cue, plays, say};
use crossdock::channel::{ChannelOptions, Receiver, Sender, broadcast};
use crossdock::{Array, arena, registry};

const WORKERS: u64 = 24;

#[test]
fn hold_a_job_and_more() {
    if !plays("hold_a_job_and_more") {
        return;
    }
    let jobs = Receiver::<(u64, Array<u8>)>::open("jobs").unwrap();
    let news = broadcast::Receiver::<Array<u8>>::open("news").unwrap();
    let back = Sender::<Array<u8>>::open("back").unwrap();
    say("open");
    let job = jobs.deliver().unwrap();
    let heard = news.recv().unwrap();
    let own = Array::from_slice(&[1; 10_000]).unwrap();
    back.send(own.clone()).unwrap();
    say("holds");
    await_cue();
    drop((job, heard, own));
}

#[test]
fn outlive_them_all() {
    if !plays("outlive_them_all") {
        return;
    }
    let options = ChannelOptions::new(WORKERS as usize).redeliver(2);
    let jobs = options.create_sender::<(u64, Array<u8>)>("jobs").unwrap();
    let again = Receiver::<(u64, Array<u8>)>::open("jobs").unwrap();
    let news = broadcast::Sender::<Array<u8>>::create("news", 1).unwrap();
    let back = Receiver::<Array<u8>>::create("back", WORKERS as usize).unwrap();
    say("made");
    await_cue();
    for number in 0..WORKERS {
        jobs.send((number, Array::from_slice(&[7; 10_000]).unwrap())).unwrap();
    }
    news.send(Array::from_slice(&[8; 10_000]).unwrap()).unwrap();
    await_cue();
    // All of them are dead now, and nobody has looked yet.
    let mut numbers: Vec<u64> =
        (0..WORKERS).map(|_| again.deliver().unwrap().acknowledge().unwrap().0).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..WORKERS), "each job once more");
    // What the dead had sent arrives, and then they have gone.
    assert_eq!((0..WORKERS).filter(|_| back.recv().unwrap()[9_999] == 1).count() as u64, WORKERS);
    assert!(back.recv().is_err(), "all of its senders are dead");
    assert_eq!(arena::stats().unwrap().held_chunks, 0, "and what they held is free");
    let receivers = registry::inspect("jobs").unwrap().channel.unwrap().receivers;
    assert_eq!(receivers.iter().map(|peer| peer.pid).collect::<Vec<_>>(), [std::process::id()]);
    say("alone");
}

#[test]
fn what_many_leave_who_die_at_once_is_put_right() {
    let lab = Lab::new();
    let mut survivor = lab.start("outlive_them_all");
    survivor.expect("made");
    let mut workers: Vec<Actor> = (0..WORKERS).map(|_| lab.start("hold_a_job_and_more")).collect();
    workers.iter_mut().for_each(|worker| worker.expect("open"));
    survivor.cue();
    workers.iter_mut().for_each(|worker| worker.expect("holds"));
    workers.iter_mut().for_each(Actor::kill);
    survivor.cue();
    survivor.expect("alone");
    survivor.finish();
    assert_eq!(lab.files(), [""; 0], "nothing is left");
}
