//! The ends of a stream of records, from the parent's point of view.

use std::time::Duration;

use crate::Result;
use crate::bench::{Bench, Stand};
use crate::clock::now_ns;
use crate::pair::{LIMIT, end_command, numbers};
use crate::peer::Peer;
use crate::place::Ends;
use crate::record::weight;
use crate::subject::python;

/// From the request until the senders begin: the receivers have to be there.
const LEAD: Duration = Duration::from_millis(2);

/// Senders and receivers, in one process or in one each.
#[derive(Debug)]
pub(crate) struct Crew {
    /// The senders come first.
    peers: Vec<Peer>,
    ends: Ends,
    /// Records that each sender has sent.
    sent: u64,
}

impl Crew {
    /// Starts a process for each end.
    pub(crate) fn processes(bench: &Bench, role: &str, ends: Ends, stand: &Stand) -> Result<Self> {
        let plan = Plan { bench, role, id: bench.pair_id(), ends, stand };
        let mut peers = Vec::new();
        let mut tokens = Vec::new();
        for (side, count) in [("a", ends.senders), ("b", ends.receivers)] {
            // A receiver may have to know all the senders.
            let token = tokens.join(",");
            for index in 0..count {
                let mut peer = plan.start(side, index, &token)?;
                tokens.push(peer.hear("token", LIMIT)?);
                peers.push(peer);
            }
        }
        Self::ready(peers, ends)
    }

    /// Starts one process whose threads are the ends.
    pub(crate) fn threads(bench: &Bench, role: &str, ends: Ends, stand: &Stand) -> Result<Self> {
        let plan = Plan { bench, role, id: bench.pair_id(), ends, stand };
        let mut peer = plan.start("a", 0, "")?;
        peer.hear("token", LIMIT)?;
        Self::ready(vec![peer], ends)
    }

    /// Starts Python, which brings a process for each end.
    pub(crate) fn python(bench: &Bench, ends: Ends, stand: &Stand) -> Result<Self> {
        let command = python::stream_command(&bench.options.python, ends, stand);
        Self::ready(vec![Peer::spawn("python stream".to_owned(), command)?], ends)
    }

    fn ready(mut peers: Vec<Peer>, ends: Ends) -> Result<Self> {
        for peer in &mut peers {
            peer.hear("ready", LIMIT)?;
        }
        Ok(Self { peers, ends, sent: 0 })
    }

    /// So many records in all, from the senders to the receivers: nanoseconds per record.
    pub(crate) fn stream(&mut self, total: u64) -> Result<f64> {
        let first = self.sent + 1;
        self.sent += total / self.ends.senders as u64;
        let start_ns = now_ns() + u64::try_from(LEAD.as_nanos())?;
        for peer in self.peers.iter_mut().rev() {
            peer.tell(&format!("stream {total} {first} {start_ns}"))?;
        }
        let mut stamps = Vec::new();
        for peer in &mut self.peers {
            stamps.extend(numbers(&peer.hear("streamed", LIMIT)?)?);
        }
        let (stamps, _) = stamps.as_chunks::<3>();
        let (senders, receivers) =
            stamps.split_at_checked(self.ends.senders).ok_or("too few stamps")?;
        let sum = |stamps: &[[f64; 3]]| stamps.iter().map(|[_, _, sum]| sum).sum::<f64>();
        let expected: u64 = (0..self.ends.senders)
            .flat_map(|sender| (first..=self.sent).map(move |seq| weight(sender, seq)))
            .sum();
        if receivers.len() != self.ends.receivers
            || [sum(senders), sum(receivers)] != [expected as f64; 2]
        {
            return Err(format!("the sum is {expected}, the stamps are {stamps:?}").into());
        }
        let start_ns = senders.iter().map(|[start, ..]| *start).fold(f64::INFINITY, f64::min);
        let end_ns = receivers.iter().map(|[_, end, _]| *end).fold(0.0, f64::max);
        Ok((end_ns - start_ns) / total as f64)
    }

    /// Ends all, the first sender last: it is the one that made things.
    pub(crate) fn quit(self) -> Result<()> {
        self.peers.into_iter().rev().try_for_each(Peer::quit)
    }
}

/// What all ends of a stream have in common.
struct Plan<'a> {
    bench: &'a Bench,
    role: &'a str,
    id: String,
    ends: Ends,
    stand: &'a Stand,
}

impl Plan<'_> {
    fn start(&self, side: &str, index: usize, token: &str) -> Result<Peer> {
        let Self { bench, role, id, ends, stand } = self;
        let mut command = end_command(bench, role, side, id, stand)?;
        command.args(["--bytes", "0", "--token", token, "--index", &index.to_string()]);
        command.args(["--senders", &ends.senders.to_string()]);
        command.args(["--receivers", &ends.receivers.to_string()]);
        if ends.batched {
            command.arg("--batched");
        }
        Peer::spawn(format!("{role} {side}{index}"), command)
    }
}
