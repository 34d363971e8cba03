//! Two processes of one subject, from the parent's point of view.

use std::env;
use std::process::Command;
use std::time::Duration;

use crate::Result;
use crate::bench::{Bench, Stand};
use crate::peer::Peer;
use crate::subject::python::{self, Subject};

/// Set-up, or one burst of small messages, takes far less; longer than any wait of a child's.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);
/// The slowest rival moves 500 MB in about two seconds.
const CARRY_LIMIT: Duration = Duration::from_secs(60);

/// One array written, handed over and read: nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Passage {
    /// From handing over until the receiver has it.
    pub(crate) hop_ns: f64,
    /// From the first write until the receiver has summed it.
    pub(crate) total_ns: f64,
}

/// A and, if the subject has two processes of ours, B.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) a: Peer,
    pub(crate) b: Option<Peer>,
    /// Prefix of the names it uses.
    pub(crate) id: String,
}

impl Pair {
    /// Starts both ends of `role` for arrays of `bytes`.
    pub(crate) fn open(bench: &Bench, role: &str, bytes: usize) -> Result<Self> {
        Self::open_on(bench, role, bytes, &bench.apart())
    }

    /// The same, on other CPUs.
    pub(crate) fn open_on(bench: &Bench, role: &str, bytes: usize, stand: &Stand) -> Result<Self> {
        let id = bench.pair_id();
        let mut a = spawn(bench, role, "a", &id, bytes, "", stand)?;
        let token = a.hear("token", LIMIT)?;
        let mut b = spawn(bench, role, "b", &id, bytes, &token, stand)?;
        b.hear("token", LIMIT)?;
        b.hear("ready", LIMIT)?;
        a.hear("ready", LIMIT)?;
        Ok(Self { a, b: Some(b), id })
    }

    /// Starts a role that plays alone.
    pub(crate) fn alone(bench: &Bench, role: &str, bytes: usize) -> Result<Self> {
        Self::alone_on(bench, role, bytes, &bench.apart())
    }

    /// The same, on other CPUs.
    pub(crate) fn alone_on(bench: &Bench, role: &str, bytes: usize, stand: &Stand) -> Result<Self> {
        let id = bench.pair_id();
        let mut a = spawn(bench, role, "a", &id, bytes, "", stand)?;
        a.hear("token", LIMIT)?;
        a.hear("ready", LIMIT)?;
        Ok(Self { a, b: None, id })
    }

    /// Starts a Python subject, which brings its own second process.
    pub(crate) fn python(bench: &Bench, kind: &str, bytes: usize) -> Result<Self> {
        let command = python::command(&bench.options.python, kind, bytes, bench.cpus, bench.fifo);
        Self::of_command(bench, format!("python {kind}"), command)
    }

    /// Starts Python processes that share a lock.
    pub(crate) fn python_lock(bench: &Bench, processes: usize, stand: &Stand) -> Result<Self> {
        let command = python::lock_command(&bench.options.python, processes, stand);
        Self::of_command(bench, "python lock".to_owned(), command)
    }

    /// Starts a Python subject that answers bursts, and brings what other processes it needs.
    pub(crate) fn python_alone(bench: &Bench, subject: Subject, stand: &Stand) -> Result<Self> {
        let command = python::alone_command(&bench.options.python, subject, stand);
        Self::of_command(bench, format!("python {}", subject.name), command)
    }

    fn of_command(bench: &Bench, name: String, command: Command) -> Result<Self> {
        let id = bench.pair_id();
        let mut a = Peer::spawn(name, command)?;
        a.hear("ready", LIMIT)?;
        Ok(Self { a, b: None, id })
    }

    /// A burst; the samples are A's.
    pub(crate) fn burst(&mut self, count: usize, pause_ns: u64) -> Result<Vec<f64>> {
        let request = format!("burst {count} {pause_ns}");
        if let Some(b) = &mut self.b {
            b.tell(&request)?;
        }
        self.a.tell(&request)?;
        let samples = self.a.hear("samples", LIMIT)?;
        if let Some(b) = &mut self.b {
            b.hear("samples", LIMIT)?;
        }
        numbers(&samples)
    }

    /// The same request to both, the answers' numbers one after the other.
    pub(crate) fn ask_both(&mut self, request: &str, word: &str) -> Result<Vec<f64>> {
        if let Some(b) = &mut self.b {
            b.tell(request)?;
        }
        let mut answers = ask_for(&mut self.a, request, word)?;
        if let Some(b) = &mut self.b {
            answers.extend(numbers(&b.hear(word, LIMIT)?)?);
        }
        Ok(answers)
    }

    /// One array full of `value`, from A to B.
    pub(crate) fn pass(&mut self, value: f64) -> Result<Passage> {
        let stamps = if let Some(b) = &mut self.b {
            b.tell(&format!("recv {value}"))?;
            self.a.tell(&format!("send {value}"))?;
            let got = b.hear("got", CARRY_LIMIT)?;
            format!("{} {got}", self.a.hear("sent", CARRY_LIMIT)?)
        } else {
            self.a.tell(&format!("pass {value}"))?;
            self.a.hear("passed", CARRY_LIMIT)?
        };
        match numbers(&stamps)?[..] {
            [start, filled, got, read] => {
                Ok(Passage { hop_ns: got - filled, total_ns: read - start })
            }
            _ => Err(format!("expected four time stamps, got \"{stamps}\"").into()),
        }
    }

    /// Ends both, B first: A is the one that made things.
    pub(crate) fn quit(self) -> Result<()> {
        if let Some(b) = self.b {
            b.quit()?;
        }
        self.a.quit()
    }
}

/// Asks a side for something that is answered with `done`.
pub(crate) fn ask(peer: &mut Peer, request: &str) -> Result<()> {
    peer.tell(request)?;
    peer.hear("done", LIMIT)?;
    Ok(())
}

/// Asks a side for numbers.
pub(crate) fn ask_for(peer: &mut Peer, request: &str, word: &str) -> Result<Vec<f64>> {
    peer.tell(request)?;
    numbers(&peer.hear(word, LIMIT)?)
}

/// Starts one end of a pair.
fn spawn(
    bench: &Bench,
    role: &str,
    side: &str,
    id: &str,
    bytes: usize,
    token: &str,
    stand: &Stand,
) -> Result<Peer> {
    let mut command = end_command(bench, role, side, id, stand)?;
    command.args(["--bytes", &bytes.to_string(), "--token", token]);
    Peer::spawn(format!("{role} {side}"), command)
}

/// The command that starts one end of a role; what it works on is still to be said.
pub(crate) fn end_command(
    bench: &Bench,
    role: &str,
    side: &str,
    id: &str,
    stand: &Stand,
) -> Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command
        .args(["role", role, "--side", side, "--id", id])
        .arg("--dir")
        .arg(&bench.dir)
        .arg("--shm")
        .arg(&bench.shm)
        .env("CROSSDOCK_DIR", bench.crossdock_dir())
        .env("TMPDIR", &bench.dir);
    for cpu in &stand.cpus[usize::from(side == "b")] {
        command.args(["--cpu", &cpu.to_string()]);
    }
    command.args(["--priority", stand.priority.name()]);
    Ok(command)
}

/// The numbers of an answer.
pub(crate) fn numbers(line: &str) -> Result<Vec<f64>> {
    Ok(line.split_ascii_whitespace().map(str::parse).collect::<Result<_, _>>()?)
}
