//! The library as a whole: channels, arrays and names, in a real directory, with processes that join and
//! leave as users' do.
//!
//! A trial is forked anew from a lane that uses nothing of the library itself, so each process joins freshly,
//! and nothing of one trial is there in the next but the code.

mod board;
mod campaign;
mod case;
mod ground;
mod image;
mod play;
mod trial;
mod way;

use crate::campaign::Plan;
use crate::process;
use crate::tally::Tally;
use board::Board;
use campaign::{Campaign, LANES_PER_CPU};
use ground::Ground;
use play::Play;
use std::collections::HashMap;
use std::io::{self, Write};

/// Every trial of the parts that are wanted; how many parts that were.
pub(crate) fn run(
    is_wanted: impl Fn(&[&str]) -> bool,
    plan: &Plan,
    tally: &'static Tally,
    cpus: &[usize],
    out: &mut impl Write,
) -> io::Result<usize> {
    let plays: Vec<Play> =
        play::all().into_iter().filter(|play| is_wanted(&[play.name, "library"])).collect();
    if plays.is_empty() {
        return Ok(0);
    }
    let ground = Ground::new()?;
    board::open(process::shared::<Board>(1 + LANES_PER_CPU * cpus.len())?);
    // The seed of all tables is drawn once, so that all who are forked from here take the same way.
    drop(HashMap::<u8, u8>::new());
    for play in &plays {
        Campaign { play, plan, tally, cpus, ground: &ground }.run(out)?;
    }
    Ok(plays.len())
}
