//! P3: the hop does not depend on the size of the array.

use super::hops::{Burst, Player, interleave};
use super::{GIB, KIB, MIB, Measure};
use crate::Result;
use crate::bench::Bench;
use crate::table::{Comparison, Goal, Row};

pub(super) const MEASURE: Measure =
    Measure { id: "P3", title: "one-way hop by array size, both awake, warm", run };

const PLAYERS: &[Player] = &[player(KIB), player(MIB), player(64 * MIB), player(GIB)];

const fn player(bytes: usize) -> Player {
    Player { role: "crossdock-awake", label: "crossdock: loan, write, send; read", bytes }
}

fn run(bench: &Bench) -> Result<Vec<Row>> {
    if bench.cpus[1].is_none() {
        let absent =
            |player: &Player| Row::absent("P3", player.label, player.bytes, "absent: one CPU");
        return Ok(PLAYERS.iter().map(absent).collect());
    }
    let burst = Burst { rounds: bench.rounds(20, 5), trips: 4000, pause_ns: 0 };
    let all = interleave(bench, "P3", PLAYERS, burst)?;
    Ok(PLAYERS
        .iter()
        .zip(&all)
        .enumerate()
        .map(|(index, (player, own))| {
            let itself = Comparison::of(own, &all[0], "itself at 1 KiB", Goal::AtMost(1.1));
            Row::of("P3", player.label, player.bytes, own).against(itself.filter(|_| index > 0))
        })
        .collect())
}
