//! The child's end of the conversation with its parent: one line in, one line out.

use std::io::{BufRead, StdinLock, Write, stdin, stdout};
use std::str::SplitAsciiWhitespace;

use crate::Result;

/// What the parent may ask of a child.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Request {
    /// So many round trips (or fills), pausing so long before each send.
    Burst { count: usize, pause_ns: u64 },
    /// Fill an array with this value and send it.
    Send { value: f64 },
    /// Receive an array full of this value.
    Recv { value: f64 },
    /// Both of it, by two threads of one process.
    Pass { value: f64 },
    /// So many records in all, each sender's numbered from `first` on, sent from a time stamp on.
    Stream { total: u64, first: u64, start_ns: u64 },
    /// Hand over so many arrays and keep none.
    Queue { count: usize },
    /// Take so many arrays and keep them.
    Hold { count: usize },
    /// Begin so many arrays and keep them.
    Loan { count: usize },
    /// So many threads lock and unlock from one time stamp until another.
    Contend { threads: usize, start_ns: u64, end_ns: u64 },
    /// How often the lock has been locked.
    Total,
    /// End.
    Quit,
}

/// Reads requests, writes answers.
#[derive(Debug)]
pub(crate) struct Control {
    requests: StdinLock<'static>,
}

impl Control {
    pub(crate) fn new() -> Self {
        Self { requests: stdin().lock() }
    }

    /// Answers with one line.
    pub(crate) fn say(&self, line: &str) -> Result<()> {
        let mut out = stdout().lock();
        writeln!(out, "{line}")?;
        Ok(out.flush()?)
    }

    /// Tells the parent what the other side needs to find this one, before it is awaited.
    pub(crate) fn token(&self, token: &str) -> Result<()> {
        self.say(&format!("token {token}"))
    }

    /// Says that the set-up is done.
    pub(crate) fn ready(&self) -> Result<()> {
        self.say("ready")
    }

    /// The next request; a parent that is gone means [`Request::Quit`].
    pub(crate) fn next(&mut self) -> Result<Request> {
        let mut line = String::new();
        if self.requests.read_line(&mut line)? == 0 {
            return Ok(Request::Quit);
        }
        let mut words = line.split_ascii_whitespace();
        Ok(match words.next() {
            Some("burst") => {
                Request::Burst { count: word(&mut words)?, pause_ns: word(&mut words)? }
            }
            Some("send") => Request::Send { value: word(&mut words)? },
            Some("recv") => Request::Recv { value: word(&mut words)? },
            Some("pass") => Request::Pass { value: word(&mut words)? },
            Some("stream") => Request::Stream {
                total: word(&mut words)?,
                first: word(&mut words)?,
                start_ns: word(&mut words)?,
            },
            Some("queue") => Request::Queue { count: word(&mut words)? },
            Some("hold") => Request::Hold { count: word(&mut words)? },
            Some("loan") => Request::Loan { count: word(&mut words)? },
            Some("contend") => Request::Contend {
                threads: word(&mut words)?,
                start_ns: word(&mut words)?,
                end_ns: word(&mut words)?,
            },
            Some("total") => Request::Total,
            Some("quit") => Request::Quit,
            _ => return Err(format!("unknown request {line:?}").into()),
        })
    }
}

fn word<T: std::str::FromStr>(words: &mut SplitAsciiWhitespace<'_>) -> Result<T> {
    let word = words.next().ok_or("a request with too few words")?;
    word.parse().map_err(|_| format!("not a number: {word:?}").into())
}
