//! `crossdock top`: all channels, live.
//!
//! [`model`] is what is known and what the keys do to it, [`view`] draws it and does nothing else, and
//! [`screen`] has the terminal.

mod json;
mod model;
mod screen;
mod view;

use crate::failure::{Failure, Result};
use crate::output;
use crate::units;
use crossdock::inspect;
use json::TopJson;
use model::Model;
use std::io::{IsTerminal, stdout};
use std::thread;
use std::time::{Duration, Instant};

/// A look takes some system calls for each channel and arena.
const INTERVAL_MIN: Duration = Duration::from_millis(50);

/// Show all channels live
///
/// Keys: q or Esc quits, arrows or j and k select, Enter shows what `crossdock inspect` says, s sorts.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Time between two looks, like 1s or 200ms
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_interval)]
    interval: Duration,
    /// Look once and print a table; rates need two looks, so there are none
    #[arg(long)]
    once: bool,
    /// Print one JSON object per look, each in a line of its own
    #[arg(long)]
    json: bool,
}

fn parse_interval(text: &str) -> Result<Duration, String> {
    let interval = units::parse_duration(text)?;
    if interval < INTERVAL_MIN {
        return Err(format!("the least is {} ms", INTERVAL_MIN.as_millis()));
    }
    Ok(interval)
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut model = Model::new(args.interval, output::is_utf8());
    if !args.once && !args.json {
        if !stdout().is_terminal() {
            let text = "standard output is no terminal (use --once or --json)";
            return Err(Failure::Refused(text.to_owned()));
        }
        return screen::run(model);
    }
    loop {
        model.see(inspect::look()?, Instant::now());
        if args.json {
            output::print_json_line(&TopJson::from(&model))?;
        } else {
            output::print(&view::plain(&model))?;
        }
        if args.once {
            return Ok(());
        }
        thread::sleep(args.interval);
    }
}
