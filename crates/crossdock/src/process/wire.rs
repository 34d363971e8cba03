//! What a process and the one that started it tell each other.
//!
//! The starter sends one [`Request`], before the process exists. The process, and the fork server that
//! has made it, send [`Report`]s. Nobody ever waits for the other to read.

use crate::error::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// What every message begins with. The last byte is the version of everything in this file.
const MAGIC: [u8; 8] = *b"XDOCKPR\x02";

/// What a new process is to do. The argument of a task follows it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request<'a> {
    /// The build of the program that asks.
    pub(super) build: &'a [u8],
    pub(super) name: &'a str,
    /// The process that makes it, where that is known and not a wrapper program.
    pub(super) parent: Option<u32>,
    pub(super) is_daemon: bool,
    /// Whether somebody waits for [`Report::Begun`].
    pub(super) is_awaited: bool,
    pub(super) job: Job,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) enum Job {
    Task(TaskId),
    ForkServer,
}

/// A task as it is named between two processes of one build: see [`super::task`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TaskId {
    /// From the start of the image to the task's entry.
    pub(crate) offset: u64,
    /// Of the name of the task's type.
    pub(crate) name_hash: u64,
}

/// What becomes of a process, as it tells it itself, or as its fork server does.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Report {
    /// It is of another build.
    Refused { build: Vec<u8> },
    /// It has opened the argument of the task.
    Begun,
    /// The task has returned; the result follows.
    Done,
    /// The task has panicked.
    Panicked { message: String, location: String, backtrace: String },
    /// It could not do what it was asked to.
    Failed { kind: ErrorKind, text: String },
    /// The fork server has made it; its pidfd is with this.
    Started { pid: u32 },
    /// The fork server could not make it: an error number.
    NotStarted { errno: i32 },
    /// It has ended, and the fork server has waited for it: a status as of `wait(2)`.
    Ended { status: i32 },
}

/// A message: `head`, then the bytes of `tail` as they are.
pub(super) fn encode(head: &impl Serialize, tail: &[u8]) -> Result<Vec<u8>> {
    let bytes = postcard::to_extend(head, MAGIC.to_vec());
    let mut bytes = bytes.map_err(|error| {
        Error::new(ErrorKind::InvalidArgument, format!("cannot write a message: {error}"))
    })?;
    bytes.extend_from_slice(tail);
    Ok(bytes)
}

/// The head and the tail of a message.
pub(super) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<(T, &'a [u8])> {
    let Some(body) = bytes.strip_prefix(&MAGIC) else {
        let text = "the other process uses another version of crossdock (build both anew)";
        return Err(Error::new(ErrorKind::WrongVersion, text));
    };
    postcard::take_from_bytes(body)
        .map_err(|error| Error::corrupt("a message from another process", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_with_its_tail() {
        let job = Job::Task(TaskId { offset: 4096, name_hash: u64::MAX });
        let request = Request {
            build: &[1, 2],
            name: "worker",
            parent: Some(7),
            is_daemon: true,
            is_awaited: false,
            job,
        };
        let bytes = encode(&request, b"argument").unwrap();
        let (back, tail) = decode::<Request<'_>>(&bytes).unwrap();
        assert_eq!((back.build, back.name, tail), (request.build, request.name, &b"argument"[..]));
        assert!(matches!(back.job, Job::Task(TaskId { offset: 4096, name_hash: u64::MAX })));
    }

    #[test]
    fn another_version_and_a_torn_message_are_told_apart() {
        let mut bytes = encode(&Report::NotStarted { errno: 11 }, &[]).unwrap();
        let torn = decode::<Report>(&bytes[..bytes.len() - 1]).unwrap_err();
        assert_eq!(torn.kind(), ErrorKind::Corrupt);
        bytes[7] += 1;
        assert_eq!(decode::<Report>(&bytes).unwrap_err().kind(), ErrorKind::WrongVersion);
    }
}
