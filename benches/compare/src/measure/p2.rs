//! P2: one-way hop, the receiver asleep.

use super::hops::{Burst, Player, interleave};
use super::{KIB, Measure};
use crate::Result;
use crate::bench::Bench;
use crate::table::{Comparison, Goal, Row};

pub(super) const MEASURE: Measure =
    Measure { id: "P2", title: "one-way hop, receiver asleep (round trip / 2)", run };

/// Both sides stay on the CPU this long before each send, and it is taken off the time: whoever
/// spins before it sleeps is asleep by then.
const PAUSE_NS: u64 = 50_000;

const FLOOR: usize = 0;
const PLAYERS: &[Player] = &[
    player("floor-futex", "floor: raw shared futex"),
    player("crossdock-asleep", "crossdock: loan, write, send; read"),
    player("iceoryx2-event", "iceoryx2 pub/sub + event"),
    player("ipc-channel-handle", "ipc-channel: shared memory handle"),
    player("raw-sync-event", "shared_memory + raw_sync event"),
];

const fn player(role: &'static str, label: &'static str) -> Player {
    Player { role, label, bytes: KIB }
}

fn run(bench: &Bench) -> Result<Vec<Row>> {
    let burst = Burst { rounds: bench.rounds(60, 15), trips: 200, pause_ns: PAUSE_NS };
    let all = interleave(bench, "P2", PLAYERS, burst)?;
    Ok(PLAYERS
        .iter()
        .zip(&all)
        .enumerate()
        .map(|(index, (player, own))| {
            let ours = player.role.starts_with("crossdock");
            let goal = if ours { Goal::AtMost(1.15) } else { Goal::Ratio };
            let floor = Comparison::of(own, &all[FLOOR], "raw futex", goal);
            Row::of("P2", player.label, KIB, own).against(floor.filter(|_| index != FLOOR))
        })
        .collect())
}
