//! What a child does with its end of a stream of records, the same for every subject.

use std::thread;

use crate::Result;
use crate::clock::{now_ns, sleep_until};
use crate::control::{Control, Request};
use crate::place::Place;
use crate::record::{BATCH, Record, SENDERS_MAX, read, record, weight};

/// One end that sends; `N` records travel together.
pub(crate) trait Source<const N: usize> {
    /// Hands over `N` records, and waits while there is no room for them.
    fn send(&mut self, records: [Record; N]) -> Result<()>;
}

/// One end that receives.
pub(crate) trait Sink {
    /// Waits for records and has at least one of them counted. A subject that takes as many as there
    /// are takes at most `most`: the others are another receiver's share.
    fn recv(&mut self, most: usize, tally: &mut Tally) -> Result<()>;
}

/// What a receiver has received, and checked.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// The last record of each sender.
    last: [u64; SENDERS_MAX],
    left: u64,
    sum: u64,
}

impl Tally {
    /// Counts a record, which must be whole, and later than the one before of its sender.
    #[inline]
    pub(crate) fn take(&mut self, found: &Record) -> Result<()> {
        let (sender, seq) = read(found)?;
        if seq <= self.last[sender] {
            let last = self.last[sender];
            return Err(format!("sender {sender}: record {seq} came after {last}").into());
        }
        self.last[sender] = seq;
        self.sum += weight(sender, seq);
        self.left = self.left.checked_sub(1).ok_or("more records than were asked for")?;
        Ok(())
    }
}

/// When an end began and ended, and the sum over its records.
#[derive(Debug, Clone, Copy)]
struct Stamp {
    start_ns: u64,
    end_ns: u64,
    sum: u64,
}

impl Stamp {
    fn text(self) -> String {
        format!("{} {} {}", self.start_ns, self.end_ns, self.sum)
    }
}

/// A sender's part of a request.
#[derive(Debug, Clone, Copy)]
struct Share {
    count: u64,
    first: u64,
    start_ns: u64,
}

/// Sends for as long as the parent wants.
pub(crate) fn sends<const N: usize>(
    control: &mut Control,
    place: &Place,
    mut source: impl Source<N>,
) -> Result<()> {
    serve(control, |total, first, start_ns| {
        let share = Share { count: total / place.ends.senders as u64, first, start_ns };
        Ok(send_all(&mut source, place.index, share)?.text())
    })
}

/// Receives for as long as the parent wants.
pub(crate) fn receives(control: &mut Control, place: &Place, mut sink: impl Sink) -> Result<()> {
    let mut tally = Tally::default();
    serve(control, |total, _, _| {
        Ok(recv_all(&mut sink, &mut tally, total / place.ends.receivers as u64)?.text())
    })
}

/// Plays every end in this process, a thread each.
pub(crate) fn threads<const N: usize>(
    control: &mut Control,
    place: &Place,
    mut sources: Vec<impl Source<N> + Send>,
    sinks: Vec<impl Sink + Send>,
) -> Result<()> {
    let mut sinks: Vec<_> = sinks.into_iter().map(|sink| (sink, Tally::default())).collect();
    let (senders, receivers) = (sources.len() as u64, sinks.len() as u64);
    serve(control, |total, first, start_ns| {
        let share = Share { count: total / senders, first, start_ns };
        thread::scope(|scope| {
            let mut running = Vec::new();
            for (index, source) in sources.iter_mut().enumerate() {
                running.push(scope.spawn(move || {
                    stand(place, 0)?;
                    send_all(source, index, share)
                }));
            }
            for (sink, tally) in &mut sinks {
                running.push(scope.spawn(move || {
                    stand(place, 1)?;
                    recv_all(sink, tally, total / receivers)
                }));
            }
            let mut stamps = Vec::new();
            for thread in running {
                stamps.push(thread.join().map_err(|_| "a thread panicked")??.text());
            }
            Ok(stamps.join(" "))
        })
    })
}

/// One sender and one receiver have a CPU each; more of them share those of the process.
fn stand(place: &Place, side: usize) -> Result<()> {
    if place.ends.are_two() { place.stand_on(side) } else { Ok(()) }
}

fn serve(
    control: &mut Control,
    mut play: impl FnMut(u64, u64, u64) -> Result<String>,
) -> Result<()> {
    control.ready()?;
    loop {
        match control.next()? {
            Request::Stream { total, first, start_ns } => {
                let stamps = play(total, first, start_ns)?;
                control.say(&format!("streamed {stamps}"))?;
            }
            Request::Quit => return Ok(()),
            other => return Err(format!("a stream cannot {other:?}").into()),
        }
    }
}

fn send_all<const N: usize>(
    source: &mut impl Source<N>,
    sender: usize,
    share: Share,
) -> Result<Stamp> {
    let Share { count, first, start_ns } = share;
    sleep_until(start_ns);
    let mut stamp = Stamp { start_ns: now_ns(), end_ns: 0, sum: 0 };
    for start in (first..first + count).step_by(N) {
        let records = std::array::from_fn(|index| record(sender, start + index as u64));
        source.send(records)?;
    }
    stamp.end_ns = now_ns();
    stamp.sum = (first..first + count).map(|seq| weight(sender, seq)).sum();
    Ok(stamp)
}

fn recv_all(sink: &mut impl Sink, tally: &mut Tally, count: u64) -> Result<Stamp> {
    let start_ns = now_ns();
    tally.left = count;
    tally.sum = 0;
    while tally.left > 0 {
        sink.recv(BATCH.min(tally.left as usize), tally)?;
    }
    Ok(Stamp { start_ns, end_ns: now_ns(), sum: tally.sum })
}
