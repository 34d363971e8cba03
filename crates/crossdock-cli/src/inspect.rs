//! `crossdock inspect`: all about one name.

use crate::closeup;
use crate::closeup_json::ReportJson;
use crate::failure::{Failure, Result};
use crate::near;
use crate::output;
use crossdock::inspect::{self, Picture};
use crossdock::registry;

/// Show all that is known about one name
///
/// Of a channel: who is connected and alive, what is on its way and who holds which memory. Looking
/// neither joins nor cleans up: who was killed is shown as dead until somebody does.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The name, as `crossdock ls` lists it
    name: String,
    /// Print JSON instead of lines
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let picture = inspect::look()?;
    let found = picture.reports.iter().find(|report| report.entry.name == args.name);
    let Some(report) = found else { return Err(not_found(&args.name, &picture)) };
    let arenas = closeup::arenas_of(report, &picture.arenas);
    if args.json {
        return output::print_json(&ReportJson::new(report, &arenas));
    }
    output::print(&closeup::text(report, &arenas))
}

/// Says why, and which name may have been meant.
fn not_found(name: &str, picture: &Picture) -> Failure {
    let error = match registry::inspect(name) {
        Err(error) if error.kind() == crossdock::ErrorKind::NotFound => error,
        Err(error) => return error.into(),
        Ok(_) => return Failure::Refused(format!("{name:?} has just been made: try again")),
    };
    let names = picture.reports.iter().map(|report| report.entry.name.as_str());
    let near: Vec<String> =
        near::names(name, names).iter().map(|name| format!("{name:?}")).collect();
    if !near.is_empty() {
        return Failure::Refused(format!("{error} (is it {}?)", near.join(" or ")));
    }
    match picture.reports.len() {
        0 => error.into(),
        count => {
            let names = if count == 1 { "name" } else { "names" };
            Failure::Refused(format!("{error} (`crossdock ls` lists the {count} {names})"))
        }
    }
}
