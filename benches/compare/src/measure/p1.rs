//! P1: one-way hop of an array handle between two processes, both awake.

use super::hops::{Burst, Player, interleave};
use super::{KIB, Measure};
use crate::Result;
use crate::bench::Bench;
use crate::table::{Comparison, Goal, Row};

pub(super) const MEASURE: Measure =
    Measure { id: "P1", title: "one-way hop, both awake (round trip / 2)", run };

const FLOOR: usize = 0;
const PAYLOAD_FLOOR: usize = 1;
const RIVAL: usize = 2;
const PLAYERS: &[Player] = &[
    player("floor-spin", "floor: raw cache line"),
    player("floor-spin-payload", "floor: raw cache line + payload line"),
    player("iceoryx2-poll", "iceoryx2 pub/sub, polled, written"),
    player(HANDLE, "crossdock: loan, send; payload untouched"),
    player("crossdock-awake", "crossdock: loan, write, send; read"),
    player("crossdock-moved", "crossdock: one array to and fro, written"),
];

/// The one whose payload stays where it is: the array's length carries the number that is checked.
const HANDLE: &str = "crossdock-handle";

const fn player(role: &'static str, label: &'static str) -> Player {
    Player { role, label, bytes: KIB }
}

fn run(bench: &Bench) -> Result<Vec<Row>> {
    if bench.cpus[1].is_none() {
        let absent = |player: &Player| Row::absent("P1", player.label, KIB, "absent: one CPU");
        return Ok(PLAYERS.iter().map(absent).collect());
    }
    let burst = Burst { rounds: bench.rounds(60, 20), trips: 4000, pause_ns: 0 };
    let all = interleave(bench, "P1", PLAYERS, burst)?;
    Ok(PLAYERS
        .iter()
        .zip(&all)
        .enumerate()
        .map(|(index, (player, own))| {
            let ours = player.role.starts_with("crossdock");
            let goal = |limit| if ours { Goal::AtMost(limit) } else { Goal::Ratio };
            let against = |index: usize, name, goal| Comparison::of(own, &all[index], name, goal);
            let floor = against(FLOOR, "raw cache line", goal(1.4));
            let written = against(PAYLOAD_FLOOR, "raw + payload line", Goal::Ratio);
            let rival = against(RIVAL, "iceoryx2", goal(0.5));
            Row::of("P1", player.label, KIB, own)
                .against(floor.filter(|_| index != FLOOR))
                .against(written.filter(|_| ours && player.role != HANDLE))
                .against(rival.filter(|_| ours))
        })
        .collect())
}
