//! `cargo xtask stepkill`: a process dies after each machine instruction of a lock or of a library call, and
//! the others go on.
//!
//! The killer is a program of its own, `stepkill/`, because it needs ptrace and fork. It is built like the
//! library, run, and built again with one bug seeded in a copy of the library, which it must find.

mod mutants;
mod report;

use crate::step;
use mutants::Mutant;
use report::Report;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// Kill a process after each machine instruction of every lock, and of channels, arrays and names.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Every 50th instruction, every 8th state that a dead process leaves, two seeded bugs; built in less time.
    #[arg(long)]
    short: bool,
    /// Only these primitives and parts: mutex,rwlock,condvar,semaphore,event,barrier,once,reentrant;
    /// library, or of it send,recv,batch,broadcast,latest,delivery,array,channel,reaper,block,map,list.
    #[arg(long)]
    only: Option<String>,
    /// Only these scenarios: S1,S2,S3,S4,S5.
    #[arg(long)]
    scenario: Option<String>,
    /// Of the library, only situations whose name has this in it.
    #[arg(long)]
    case: Option<String>,
    /// Only the seeded bugs; of the primitives and parts, if some are named.
    #[arg(long, conflicts_with = "no_mutants")]
    mutants: bool,
    /// Without the seeded bugs.
    #[arg(long)]
    no_mutants: bool,
    /// JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// In the short form, every so many-th instruction.
const SHORT_STRIDE: u64 = 50;
/// In the short form, every so many-th state that a dead process leaves.
const SHORT_IMAGE_STRIDE: usize = 8;
/// Seeded bugs in the short form.
const SHORT_MUTANTS: usize = 2;

/// Where the killer makes its directory; its process id follows.
const GROUND: &str = "/dev/shm/crossdock-stepkill-";

/// How seeded bugs and the short form are built: optimized, but not across crates as what is shipped. A
/// seeded bug may leave something unused.
const QUICKLY: [(&str, &str); 4] = [
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "none"),
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("RUSTFLAGS", "-Awarnings"),
];

pub(crate) fn run(args: Args) -> ExitCode {
    if !cfg!(target_arch = "x86_64") {
        println!("stepkill: skipped: it steps through x86-64 instructions only");
        return ExitCode::SUCCESS;
    }
    match campaign(&args) {
        Ok(passed) => step::exit_code(passed),
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

fn campaign(args: &Args) -> Result<bool, String> {
    let stride = if args.short { SHORT_STRIDE } else { 1 };
    let mut report = Report::new(stride);
    if !args.mutants {
        let mut words = vec![format!("--stride={stride}")];
        words.extend(args.short.then(|| format!("--image-stride={SHORT_IMAGE_STRIDE}")));
        words.extend(args.short.then(|| "--brief".to_owned()));
        words.extend(args.only.as_ref().map(|only| format!("--only={only}")));
        words.extend(args.case.as_ref().map(|case| format!("--case={case}")));
        words.extend(args.scenario.as_ref().map(|scenario| format!("--scenario={scenario}")));
        let killer = if args.short {
            build(&step::root(), &target().join("quick"), &QUICKLY)?
        } else {
            build(&step::root(), &target(), &[])?
        };
        execute(&killer, &words, &mut report)?;
    }
    if let Some(why) = &report.unsupported {
        println!("stepkill: skipped: {why}");
        return Ok(true);
    }
    if !args.no_mutants {
        let count = if args.short { SHORT_MUTANTS } else { usize::MAX };
        let wanted = args.only.as_deref().map(|only| only.split(',').collect::<Vec<_>>());
        let is_wanted = |mutant: &&Mutant| {
            wanted.as_ref().is_none_or(|wanted| {
                wanted.iter().any(|name| [mutant.primitive, mutant.part].contains(name))
            })
        };
        for mutant in mutants::all().filter(is_wanted).take(count) {
            let found = try_mutant(mutant).unwrap_or_else(|why| {
                eprintln!("error: seeded bug \"{}\": {why}", mutant.name);
                None
            });
            report.mutants.push((mutant, found));
        }
    }
    if args.json {
        println!("{}", report.json());
    } else {
        print!("{}", report.table());
    }
    Ok(report.passed())
}

/// Seeds a bug and runs what should find it; the first failure, if there is any.
fn try_mutant(mutant: &Mutant) -> Result<Option<String>, String> {
    let root = target().join("mutant");
    mutants::seed(mutant, &step::root(), &root)?;
    let killer = build(&root, &target().join("quick"), &QUICKLY)?;
    let words = [
        format!("--only={}", mutant.primitive),
        format!("--scenario={}", mutant.scenarios),
        format!("--case={}", mutant.situation),
        "--failures-max=1".to_owned(),
    ];
    let mut report = Report::new(1);
    execute(&killer, &words, &mut report)?;
    Ok(report.first_failure())
}

fn target() -> PathBuf {
    step::root().join("target/stepkill")
}

/// Builds the killer of a tree; where it is then.
fn build(root: &Path, target: &Path, settings: &[(&str, &str)]) -> Result<PathBuf, String> {
    let manifest = root.join("stepkill/Cargo.toml");
    let mut command = step::command("cargo", &["build", "--release", "--quiet", "--locked"]);
    command.arg("--manifest-path").arg(manifest).arg("--target-dir").arg(target);
    command.envs(settings.iter().copied());
    if step::run(command) {
        Ok(target.join("release/crossdock-stepkill"))
    } else {
        Err("the killer cannot be built".to_owned())
    }
}

/// Runs the killer, and hands over what it finds as it comes.
fn execute(killer: &Path, words: &[String], report: &mut Report) -> Result<(), String> {
    eprintln!("$ {} {}", killer.display(), words.join(" "));
    let cannot = |error: io::Error| format!("{} cannot be run: {error}", killer.display());
    let mut command = Command::new(killer);
    command.args(words).current_dir(step::root()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(cannot)?;
    let mut read = Ok(());
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).lines() {
            let line = line.map_err(cannot)?;
            // What comes after something strange is strange as well.
            read = read.and_then(|()| report.read(&line));
        }
    }
    let status = child.wait().map_err(cannot)?;
    // It does that itself unless it is killed.
    match std::fs::remove_dir_all(format!("{GROUND}{}", child.id())) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(format!("the killer's directory cannot be removed: {error}"));
        }
        _ => {}
    }
    read?;
    if status.success() { Ok(()) } else { Err(format!("the killer ended early: {status}")) }
}
