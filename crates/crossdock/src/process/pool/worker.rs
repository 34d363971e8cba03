//! The inside of a worker: it takes a task, runs it, sends the result, and only then says that it has done it.
//!
//! # When it is killed
//!
//! | killed | what becomes of the task |
//! |---|---|
//! | before it has taken it | another worker takes it |
//! | before it has sent the result | it was delivered and not acknowledged: a dead letter, or another delivery if retries are asked for |
//! | before it has acknowledged it | the same, but its result is there, and the pool passes over the rest |

use super::super::serve::last_panic;
use super::super::task::{self, Entry};
use super::super::wire::TaskId;
use super::board::Board;
use super::job::{Kind, answer_head, short_name, split_job};
use crate::channel::{Receiver, RecvError, Sender};
use crate::error::{Error, ErrorKind, Result};
use crate::letter::Letter;
use crossdock_sys::clock::now_ns;
use crossdock_sys::process::resident_bytes;
use serde::{Deserialize, Serialize};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a worker has to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Setup {
    pub(super) tasks: String,
    pub(super) answers: String,
    pub(super) board: String,
    pub(super) seat: u32,
    /// Tasks after which it ends.
    pub(super) tasks_max: Option<u64>,
    /// It ends after a task if it has more in memory than this.
    pub(super) rss_bytes_max: Option<u64>,
}

/// Why a worker has ended.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Exit {
    /// There is nothing left to do.
    Done,
    /// It has done as much as one worker is to do.
    Retired,
    /// It cannot work.
    Unfit(String),
}

struct Worker {
    setup: Setup,
    tasks: Receiver<Letter>,
    answers: Sender<Letter>,
    board: Board,
    /// The last task that was looked up.
    known: Option<(TaskId, &'static Entry)>,
}

/// The task of a worker process.
pub(super) fn serve(setup: Setup, initialize: impl FnOnce()) -> Exit {
    let work = || {
        let mut worker = Worker {
            tasks: Receiver::open(&setup.tasks)?,
            answers: Sender::open(&setup.answers)?,
            board: Board::open(&setup.board)?,
            known: None,
            setup,
        };
        initialize();
        worker.answer(Letter::seal(&answer_head(0, worker.setup.seat, Kind::Ready), ())?)?;
        worker.run()
    };
    work().unwrap_or_else(|error: Error| match error.kind() {
        // The pool has gone.
        ErrorKind::Disconnected => Exit::Done,
        _ => Exit::Unfit(error.to_string()),
    })
}

impl Worker {
    fn run(&mut self) -> Result<Exit> {
        let mut done = 0;
        loop {
            let delivery = match self.tasks.deliver() {
                Ok(delivery) => delivery,
                Err(RecvError::Disconnected) => return Ok(Exit::Done),
                Err(error) => return Err(error.into()),
            };
            let (mut letter, receipt) = delivery.split();
            let (job, id) = split_job(&mut letter)?;
            let seat = self.setup.seat as usize;
            self.board.begin(seat, job);
            let begun_ns = now_ns();
            let answer = self.call(job, id, letter);
            self.board.note_time(seat, now_ns() - begun_ns);
            self.answer(answer?)?;
            let may_go_on = self.board.end(seat, job);
            // If another one gets it as well, the pool knows of this result.
            let _ = receipt.acknowledge();
            done += 1;
            if !may_go_on || self.is_worn_out(done) {
                return Ok(Exit::Retired);
            }
        }
    }

    /// Calls a task; what is to be said of it.
    fn call(&mut self, job: u64, id: TaskId, letter: Letter) -> Result<Letter> {
        let head = |kind| answer_head(job, self.setup.seat, kind);
        let fail = |error: Error| Letter::seal(&head(Kind::Failed), error);
        let entry = match self.known {
            Some((known, entry)) if known == id => entry,
            _ => match task::find(id) {
                Ok(entry) => self.known.insert((id, entry)).1,
                Err(error) => return fail(error),
            },
        };
        let refuse =
            |kind, text| Error::new(kind, format!("task \"{}\": {text}", short_name(entry)));
        let done = head(Kind::Done);
        match catch_unwind(AssertUnwindSafe(|| entry.run(letter, &mut || (), &done))) {
            Ok(Ok(result)) => result.for_channel().or_else(|error| {
                fail(refuse(error.kind(), format!("its result cannot be sent: {error}")))
            }),
            Ok(Err(refusal)) => fail(refuse(refusal.kind, refusal.text)),
            Err(payload) => Letter::seal(&head(Kind::Panicked), last_panic(&*payload).cut()),
        }
    }

    fn answer(&self, letter: Letter) -> Result<()> {
        Ok(self.answers.send(letter.for_channel()?)?)
    }

    fn is_worn_out(&self, done: u64) -> bool {
        let is_fat = |max| resident_bytes(std::process::id()).is_ok_and(|bytes| bytes > max);
        self.setup.tasks_max.is_some_and(|max| done >= max)
            || self.setup.rss_bytes_max.is_some_and(is_fat)
    }
}
