//! The array goes to the consumer and back through two crossdock channels.

use super::consumer::{Reading, Request};
use super::report::Timing;
use super::spread::Spread;
use crate::failure::{Failure, Result};
use crate::helper::Helper;
use crate::sample::Sample;
use crate::stats::Summary;
use crossdock::ArrayMut;
use crossdock::channel::{Receiver, Sender, TryRecvError};
use crossdock_sys::clock::{Deadline, now_ns};
use crossdock_sys::place::{self, Bound};
use std::process::Command;
use std::time::Duration;
use std::{env, hint, process, thread};

const WARM_UP: u32 = 20;
/// Many short bursts: in a long one, other programs want their turn.
const BURSTS: u32 = 200;
const AWAKE: u32 = 10;
/// On a machine that is so busy that the bursts take longer, there are fewer.
const BURSTS_MAX: Duration = Duration::from_secs(1);
const ASLEEP: u32 = 100;
const READINGS: u32 = 3;

/// There is never more than one message in either channel.
const CAPACITY: usize = 2;
/// No hop takes that long unless the other process hangs.
const HOP_MAX: Duration = Duration::from_secs(10);
/// After so long the other process, which polls for some microseconds, has gone to sleep.
const NAP: Duration = Duration::from_micros(300);
/// Polls, each about 20 ns, before others get their turn on this CPU.
const POLLS_MAX: u32 = 20_000;
/// The same if both processes share one CPU, perhaps.
const POLLS_MAX_SHARED: u32 = 100;

pub(super) struct Ours {
    pub(super) timing: Timing,
    pub(super) summary: Summary,
}

/// Measures, and gives the array back.
pub(super) fn measure<T: Sample>(
    array: ArrayMut<T>,
    limit: Duration,
) -> Result<(Ours, ArrayMut<T>)> {
    let there = format!("handoff-{}-there", process::id());
    let back = format!("handoff-{}-back", process::id());
    let tx = Sender::<ArrayMut<T>>::create(&there, CAPACITY)?;
    let rx = Receiver::<ArrayMut<T>>::create(&back, CAPACITY)?;
    let mut command = Command::new(env::current_exe().map_err(Failure::os("cannot find myself"))?);
    command.args(["consumer", "array", T::DTYPE.name(), &there, &back]);
    let (our_cpu, their_cpu) = place::pair().map(|[ours, theirs]| (ours, theirs)).unzip();
    command.args(their_cpu.map(|cpu| cpu.to_string()));
    let mut consumer = Helper::start("the consumer", command, limit)?;
    let ends = Ends::new(tx, rx, HOP_MAX + limit, our_cpu);
    match converse(&mut consumer, &ends, array) {
        Ok(found) => consumer.finish().map(|()| found),
        // The consumer may have said why on standard error; how it ended says more than our side.
        Err(Failure::Library(error)) => Err(consumer.failed(&format!("was given up: {error}"))),
        Err(failure) => Err(failure),
    }
}

fn converse<T: Sample>(
    consumer: &mut Helper,
    ends: &Ends<T>,
    array: ArrayMut<T>,
) -> Result<(Ours, ArrayMut<T>)> {
    consumer.hear::<()>()?;
    let (warm_up, mut array) = hops(consumer, ends, array, WARM_UP, Manner::Awake)?;
    let mut awake = Vec::new();
    let enough = Deadline::after(BURSTS_MAX);
    for _ in 0..BURSTS {
        if enough.is_past() && !awake.is_empty() {
            break;
        }
        let burst;
        (burst, array) = hops(consumer, ends, array, AWAKE, Manner::Awake)?;
        awake.extend(burst);
    }
    let (asleep, mut array) = hops(consumer, ends, array, ASLEEP, Manner::Asleep)?;

    consumer.tell(&Request::Read { count: READINGS })?;
    consumer.hear::<()>()?;
    let mut gave_ns = Vec::new();
    for _ in 0..READINGS {
        gave_ns.push(now_ns());
        ends.tx.try_send(array)?;
        array = ends.recv(Manner::Asleep)?;
    }
    let Reading { read_ns, summary } = consumer.hear()?;
    let until_sum: Vec<u64> =
        read_ns.iter().zip(&gave_ns).map(|(read, gave)| read.saturating_sub(*gave)).collect();
    let timing = Timing {
        first_hop_ns: warm_up.first().copied(),
        first_until_sum_ns: until_sum.first().copied(),
        hop: Spread::of(awake),
        hop_asleep: Some(Spread::of(asleep)),
        until_sum: Spread::of(until_sum),
    };
    Ok((Ours { timing, summary }, array))
}

/// Sends the array there and back `count` times: twice as many samples.
fn hops<T: Sample>(
    consumer: &mut Helper,
    ends: &Ends<T>,
    mut array: ArrayMut<T>,
    count: u32,
    manner: Manner,
) -> Result<(Vec<u64>, ArrayMut<T>)> {
    consumer.tell(&Request::Hop { count, is_awake: manner == Manner::Awake })?;
    consumer.hear::<()>()?;
    // Woken by a timer and not by the consumer, so that the scheduler finds a CPU for each.
    thread::sleep(NAP);
    let mut here = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let gave = ends.send(array, manner)?;
        array = ends.recv(manner)?;
        here.push((gave, now_ns()));
    }
    let there: Vec<(u64, u64)> = consumer.hear()?;
    let mut samples = Vec::with_capacity(2 * here.len());
    for ((gave, got_back), (got, gave_back)) in here.into_iter().zip(there) {
        samples.extend([got.saturating_sub(gave), got_back.saturating_sub(gave_back)]);
    }
    Ok((samples, array))
}

/// Whether the receiver polls or sleeps.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Manner {
    Awake,
    Asleep,
}

/// One process's ends of the two channels.
pub(super) struct Ends<T: Sample> {
    pub(super) tx: Sender<ArrayMut<T>>,
    pub(super) rx: Receiver<ArrayMut<T>>,
    limit: Duration,
    polls_max: u32,
    _bound: Option<Bound>,
}

impl<T: Sample> Ends<T> {
    /// No wait is longer than `limit`; `cpu` is for this process alone, if there is more than one.
    pub(super) fn new(
        tx: Sender<ArrayMut<T>>,
        rx: Receiver<ArrayMut<T>>,
        limit: Duration,
        cpu: Option<usize>,
    ) -> Self {
        let polls_max = if cpu.is_some() { POLLS_MAX } else { POLLS_MAX_SHARED };
        Self { tx, rx, limit, polls_max, _bound: cpu.map(Bound::to) }
    }

    /// Sends at a moment when the receiver is awake or asleep as wished; returns the moment.
    pub(super) fn send(&self, array: ArrayMut<T>, manner: Manner) -> Result<u64> {
        if manner == Manner::Asleep {
            thread::sleep(NAP);
        }
        let gave = now_ns();
        self.tx.try_send(array)?;
        Ok(gave)
    }

    pub(super) fn recv(&self, manner: Manner) -> Result<ArrayMut<T>> {
        match manner {
            Manner::Asleep => Ok(self.rx.recv_timeout(self.limit)?),
            Manner::Awake => self.poll(),
        }
    }

    fn poll(&self) -> Result<ArrayMut<T>> {
        let mut polls = 0_u32;
        let mut deadline = None;
        loop {
            match self.rx.try_recv() {
                Err(TryRecvError::Empty) => {}
                other => return Ok(other?),
            }
            polls = polls.wrapping_add(1);
            if polls < self.polls_max {
                hint::spin_loop();
                continue;
            }
            // The other process may have been put on this very CPU.
            thread::yield_now();
            if deadline.get_or_insert_with(|| Deadline::after(HOP_MAX)).is_past() {
                let text = format!("the array did not arrive within {HOP_MAX:?}");
                return Err(Failure::Helper(text));
            }
        }
    }
}
