//! The inside of a process that was started to run a task.

use super::failure::{self, Panic};
use super::fork_server::{self, Served};
use super::post::Post;
use super::task::{self, Refusal};
use super::wire::{self, Job, Report, Request};
use crate::error::{Error, ErrorKind, Result};
use crate::letter::Letter;
use crossdock_sys::line::Line;
use crossdock_sys::{child, leash};
use parking_lot::Mutex;
use std::any::Any;
use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::io;
use std::os::fd::BorrowedFd;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};

/// As of every Rust program that panics.
const EXIT_PANICKED: i32 = 101;
/// It could not do what it was asked to.
const EXIT_FAILED: i32 = 70;
/// There was nobody left to work for.
const EXIT_ALONE: i32 = 71;

/// Bytes of the message of a panic that arrive; the rest is lost, but was printed.
const MESSAGE_BYTES_MAX: usize = 64 << 10;
/// Bytes of its backtrace that arrive.
const BACKTRACE_BYTES_MAX: usize = 256 << 10;
/// Bytes of the place, and of the message where there is no memory or descriptor for more.
const SHORT_BYTES_MAX: usize = 4 << 10;

/// The name of this process, if it was started as one.
static NAME: Mutex<Option<String>> = Mutex::new(None);

thread_local! {
    /// The last panic of this thread.
    static PANIC: RefCell<Option<Panic>> = const { RefCell::new(None) };
    /// Where to report it at once, if a panic ends the process.
    static REPORTER: RefCell<Option<Line>> = const { RefCell::new(None) };
}

/// How a process came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// It is the program, started anew.
    Program,
    /// A fork server has made it; the pid of that.
    ForkServer(u32),
    /// It was forked by the process that it works for.
    Fork {
        /// Other threads may have been printing just then.
        is_forced: bool,
    },
}

/// The name of this process, as its starter chose it; `None` in a program that was started by other means.
#[must_use]
pub fn name() -> Option<String> {
    NAME.lock().clone()
}

/// Whether this process was started to run a task.
#[must_use]
pub fn is_child() -> bool {
    NAME.lock().is_some()
}

/// Does what the other end of `line` asks for, and ends the process.
pub(super) fn serve(line: Line, origin: Origin) -> ! {
    match attend(&line, origin) {
        Ok(Done::Exit(code)) => exit(code, origin),
        Ok(Done::Born(birth)) => {
            drop(line);
            birth.live()
        }
        Err(error) => fail(&line, &error, origin),
    }
}

/// Ends a process that cannot do what it was asked to.
pub(super) fn fail(line: &Line, error: &Error, origin: Origin) -> ! {
    let kind = match error.kind() {
        ErrorKind::Corrupt | ErrorKind::WrongVersion => ErrorKind::Corrupt,
        _ => ErrorKind::Unsupported,
    };
    if let Err(error) = report(line, &Report::Failed { kind, text: error.to_string() }) {
        unsent(line, "what has gone wrong", &error);
    }
    exit(EXIT_FAILED, origin)
}

fn exit(code: i32, origin: Origin) -> ! {
    if origin == Origin::Program {
        std::process::exit(code)
    }
    // What others have registered to be done at the exit of the process that this is a copy of is not for its
    // copies to do; and it would take a good part of the time of a short process.
    if origin != (Origin::Fork { is_forced: true }) {
        child::flush();
    }
    crate::member::leave_at_exit();
    child::exit_now(code)
}

/// What was done, or is to be.
enum Done {
    Exit(i32),
    /// This process was a fork server's, and is its child now.
    Born(fork_server::Birth),
}

fn attend(line: &Line, origin: Origin) -> Result<Done> {
    let read = |error| Error::os("cannot read what is to be done", error);
    let Some(packet) = line.receive().map_err(read)? else { return Ok(Done::Exit(EXIT_ALONE)) };
    let (request, argument) = wire::decode::<Request<'_>>(&packet.bytes)?;
    let argument = Post::received(argument.to_vec(), packet.files);
    let build = task::build()?;
    if request.build != build {
        report(line, &Report::Refused { build: build.to_vec() })?;
        return Ok(Done::Exit(EXIT_FAILED));
    }
    *NAME.lock() = Some(request.name.to_owned());
    child::rename(request.name);
    if request.is_daemon {
        let parent = match origin {
            Origin::ForkServer(server) => Some(server),
            Origin::Program | Origin::Fork { .. } => request.parent,
        };
        let no_leash = |error| Error::os("cannot watch the parent of a daemon", error);
        // A fork server hears of the end of its line anyway, and of much else over it. The line of its child
        // ends with the handle, which is not the end of the parent; the server dies with that.
        let lasts =
            matches!((request.job, origin), (Job::Task(_), Origin::Program | Origin::Fork { .. }));
        leash::tie(lasts.then_some(line), parent).map_err(no_leash)?;
    }
    match request.job {
        Job::Task(id) => {
            let task = task::find(id)?;
            if !matches!(origin, Origin::ForkServer(_)) {
                watch_panics(line);
            }
            Ok(Done::Exit(run(line, task, argument, request.is_awaited)))
        }
        Job::ForkServer => Ok(match fork_server::run(line)? {
            Served::Out => Done::Exit(0),
            Served::Born(birth) => Done::Born(birth),
        }),
    }
}

/// What a child of a fork server does before there is work: as much of it as does not depend on the work. What it
/// touches of its memory it has for itself from then on, and need not get when somebody waits.
pub(super) fn get_ready(line: &Line) {
    watch_panics(line);
    // It is for speed only.
    drop(rehearse());
}

/// Runs a task that does nothing, asked for by nobody.
fn rehearse() -> Result<()> {
    let os = |error| Error::os("a rehearsal", error);
    let (ours, theirs) = Line::pair().map_err(os)?;
    let job = Job::Task(task::id(task::nothing())?);
    let build = task::build()?;
    let request =
        Request { build, name: "", parent: None, is_daemon: false, is_awaited: false, job };
    let argument = Post::of(Letter::seal(&[], 0_u32)?)?;
    ours.send(&wire::encode(&request, argument.bytes())?, &[]).map_err(os)?;
    let Some(packet) = theirs.receive().map_err(os)? else { return Ok(()) };
    let (request, argument) = wire::decode::<Request<'_>>(&packet.bytes)?;
    if let Job::Task(id) = request.job {
        run(&theirs, task::find(id)?, Post::received(argument.to_vec(), packet.files), false);
    }
    child::flush();
    ours.try_receive().map(drop).map_err(os)
}

/// The exit code.
fn run(line: &Line, task: &'static task::Entry, argument: Post, is_awaited: bool) -> i32 {
    let mut begun = || {
        if is_awaited {
            // Whoever waits sees the end of the line as well.
            let _ = report(line, &Report::Begun);
        }
    };
    let done = catch_unwind(AssertUnwindSafe(|| {
        let argument = argument.fetch().map_err(|error| Refusal {
            kind: error.kind(),
            text: format!("its argument has not arrived: {error}"),
        })?;
        task.run(argument, &mut begun, &[])
    }));
    let refusal = match done {
        Ok(Ok(result)) => match finish(line, result) {
            Ok(()) => return 0,
            Err(error) => return unsent(line, "its result", &error),
        },
        Ok(Err(refusal)) => refusal,
        Err(payload) => {
            report_panic(line, &last_panic(&*payload));
            return EXIT_PANICKED;
        }
    };
    let Refusal { kind, text } = refusal;
    match report(line, &Report::Failed { kind, text }) {
        Ok(()) => EXIT_FAILED,
        Err(error) => unsent(line, "why it has no result", &error),
    }
}

/// Sends a result.
fn finish(line: &Line, mut result: Letter) -> Result<()> {
    let kept = result.take_kept();
    let mut post = Post::of(result)?;
    post.keep(&kept)?;
    let message = wire::encode(&Report::Done, post.bytes())?;
    if send(line, &message, &post.files())? {
        post.sent();
    }
    Ok(())
}

/// Tells the parent, if there still is one: to whom else would one say that it has gone?
fn report(line: &Line, report: &Report) -> Result<()> {
    send(line, &wire::encode(report, &[])?, &[]).map(drop)
}

/// Whether anybody was there to send it to.
fn send(line: &Line, message: &[u8], files: &[BorrowedFd<'_>]) -> Result<bool> {
    match line.send(message, files) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Error::os("sending", error)),
    }
}

/// Says that something cannot be said, in words short enough to need no file of their own; the exit code.
fn unsent(line: &Line, what: &str, error: &Error) -> i32 {
    let text = format!("{what} cannot be sent: {error}");
    let kind = match error.raw_os_error() {
        // No descriptor, no memory.
        Some(_) => ErrorKind::Unsupported,
        None => error.kind(),
    };
    // After this, the exit code is all that is left to say.
    let _ = report(line, &Report::Failed { kind, text });
    EXIT_FAILED
}

fn report_panic(line: &Line, panic: &Panic) {
    let first = |text: &str, max| text[..text.floor_char_boundary(max)].to_owned();
    let of = |message_bytes, backtrace_bytes| Report::Panicked {
        message: first(&panic.message, message_bytes),
        location: first(&panic.location, SHORT_BYTES_MAX),
        backtrace: first(&panic.backtrace, backtrace_bytes),
    };
    if report(line, &of(MESSAGE_BYTES_MAX, BACKTRACE_BYTES_MAX)).is_err() {
        // What is short needs no file of its own. After this, the exit code is all that is left to say.
        let _ = report(line, &of(SHORT_BYTES_MAX, 0));
    }
}

/// From now on, the last panic of this thread is kept. It is still printed.
fn watch_panics(line: &Line) {
    if cfg!(panic = "abort") {
        let copy = std::os::fd::AsFd::as_fd(line).try_clone_to_owned();
        REPORTER.set(copy.ok().map(Line::from));
    }
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let panic = seen(info);
        if let Some(line) = REPORTER.take() {
            report_panic(&line, &panic);
        } else {
            PANIC.set(Some(panic));
        }
        previous(info);
    }));
}

fn seen(info: &PanicHookInfo<'_>) -> Panic {
    Panic {
        message: failure::message(info.payload()),
        location: info.location().map_or_else(String::new, ToString::to_string),
        backtrace: Backtrace::force_capture().to_string(),
    }
}

/// The panic of this thread that was caught just now. One that called no hook was resumed, perhaps from another
/// thread.
pub(super) fn last_panic(payload: &(dyn Any + Send)) -> Panic {
    PANIC.take().unwrap_or_else(|| Panic::unseen(payload))
}
