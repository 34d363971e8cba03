//! Carriers of whole arrays, one way, from the parent's point of view.

use crate::Result;
use crate::bench::Bench;
use crate::pair::Pair;
use crate::place::Priority;
use crate::stats::Samples;

/// How a carrier is started.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Start {
    /// Two processes.
    Role(&'static str),
    /// Two threads of one process.
    Threads(&'static str),
    /// Two processes of Python's.
    Python(&'static str),
}

/// Something that brings an array from A to B.
#[derive(Debug)]
pub(crate) struct Carrier {
    pub(crate) start: Start,
    pub(crate) label: &'static str,
    /// The role whose round trip, halved, is the hop alone, where only a handle travels, and how long
    /// both sides wait before each trip: not at all if they are awake.
    pub(crate) hop: Option<(&'static str, u64)>,
}

/// How long both sides wait before each of them until they are asleep.
pub(crate) const PAUSE_NS: u64 = 50_000;

/// The processes of a carrier.
pub(crate) struct Running {
    whole: Option<Pair>,
    hop: Option<(Pair, u64)>,
    trips: usize,
}

/// What was measured of one carrier.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// The hop of an array that was just written.
    pub(crate) written_hop: Samples,
    /// The hop alone; the same where the bytes travel.
    pub(crate) hop: Samples,
    /// From the first write until the array is summed.
    pub(crate) total: Samples,
}

impl Start {
    /// Starts its ends; `None` if it is Python's and there is none.
    pub(crate) fn open(self, bench: &Bench, bytes: usize) -> Result<Option<Pair>> {
        Ok(match self {
            Self::Role(role) => Some(Pair::open(bench, role, bytes)?),
            Self::Threads(role) => {
                Some(Pair::alone_on(bench, role, bytes, &bench.together(Priority::Fifo))?)
            }
            Self::Python(_) if bench.python_missing.is_some() => None,
            Self::Python(kind) => Some(Pair::python(bench, kind, bytes)?),
        })
    }
}

impl Running {
    /// Starts what carries whole arrays, and what plays hops alone, `trips` there and back in a burst.
    pub(crate) fn start(
        bench: &Bench,
        carrier: &Carrier,
        bytes: usize,
        trips: usize,
    ) -> Result<Self> {
        let whole = carrier.start.open(bench, bytes)?;
        let hop = match carrier.hop {
            Some((role, pause_ns)) => Some((Pair::open(bench, role, bytes)?, pause_ns)),
            None => None,
        };
        Ok(Self { whole, hop, trips })
    }

    /// Carries one array full of `value`; nothing if there is no Python.
    pub(crate) fn play(&mut self, value: f64, measured: &mut Measured) -> Result<()> {
        let Some(whole) = &mut self.whole else { return Ok(()) };
        let passage = whole.pass(value)?;
        measured.written_hop.push_round(vec![passage.hop_ns]);
        measured.total.push_round(vec![passage.total_ns]);
        measured.hop.push_round(match &mut self.hop {
            Some((hop, pause_ns)) => hop.burst(self.trips, *pause_ns)?,
            None => vec![passage.hop_ns],
        });
        Ok(())
    }

    /// Ends its processes.
    pub(crate) fn quit(self) -> Result<()> {
        [self.whole, self.hop.map(|(pair, _)| pair)].into_iter().flatten().try_for_each(Pair::quit)
    }
}
