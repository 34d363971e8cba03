//! Ping-pong of several subjects, a short burst each in turn.

use indicatif::ProgressBar;

use crate::Result;
use crate::bench::Bench;
use crate::pair::Pair;
use crate::stats::Samples;
use crate::table::size;

/// A subject of a ping-pong.
#[derive(Debug, Clone, Copy)]
pub(super) struct Player {
    pub(super) role: &'static str,
    pub(super) label: &'static str,
    pub(super) bytes: usize,
}

/// The length of one burst.
#[derive(Debug, Clone, Copy)]
pub(super) struct Burst {
    pub(super) rounds: usize,
    pub(super) trips: usize,
    /// How long both sides wait before each send; zero plays awake.
    pub(super) pause_ns: u64,
}

/// After so many rounds everybody starts anew: where the pages of a pair happen to lie relative to
/// the two cores shifts its times by +-15 %, and new processes get other pages.
const ROUNDS_PER_SET: usize = 5;

/// Plays all of them in turn.
pub(super) fn interleave(
    bench: &Bench,
    measure: &str,
    players: &[Player],
    burst: Burst,
) -> Result<Vec<Samples>> {
    let sets = burst.rounds.div_ceil(ROUNDS_PER_SET);
    let bar = bench.progress(measure, sets * (ROUNDS_PER_SET + 1) * players.len());
    let mut samples = vec![Samples::default(); players.len()];
    for _ in 0..sets {
        play_set(bench, players, burst, &mut samples, &bar)?;
    }
    bar.finish_and_clear();
    Ok(samples)
}

/// One set of fresh pairs; its first round warms up and does not count.
fn play_set(
    bench: &Bench,
    players: &[Player],
    burst: Burst,
    samples: &mut [Samples],
    bar: &ProgressBar,
) -> Result<()> {
    let mut pairs = Vec::new();
    for player in players {
        bar.set_message(format!("starting {} {}", player.role, size(player.bytes)));
        pairs.push(Pair::open(bench, player.role, player.bytes)?);
    }
    for round in 0..=ROUNDS_PER_SET {
        for ((pair, player), samples) in pairs.iter_mut().zip(players).zip(&mut *samples) {
            bar.set_message(format!("{} {}", player.role, size(player.bytes)));
            let measured = pair.burst(burst.trips, burst.pause_ns)?;
            if round > 0 {
                // The first trips of a burst find the other side's caches cold.
                samples.push_round(measured[burst.trips / 10..].to_vec());
            }
            bar.inc(1);
        }
    }
    pairs.into_iter().try_for_each(Pair::quit)
}
