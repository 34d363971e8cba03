//! How a pool is made.

use super::Pool;
use super::board::Board;
use super::core::{Core, IN_HAND_MAX, Links, Start, State};
use super::crew::Seat;
use super::threads;
use super::worker::{self, Setup};
use crate::channel::{ChannelOptions, Receiver};
use crate::error::{Error, ErrorKind, Result};
use crate::letter::Letter;
use crate::process::StartMethod;
use crossdock_sys::events::Events;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Workers that a pool can have.
pub const WORKERS_MAX: usize = 256;
/// Names that are tried before one is found that nobody has.
const NAMES_MAX: u32 = 1000;

/// How a [`Pool`] is made, for those who want to say more than [`Pool::new`].
///
/// # Examples
///
/// ```
/// use crossdock::process::{self, Pool, StartMethod};
/// use std::sync::OnceLock;
///
/// static TABLE: OnceLock<Vec<u32>> = OnceLock::new();
///
/// fn prepare(len: u32) {
///     TABLE.get_or_init(|| (0..len).map(|x| x * x).collect());
/// }
///
/// # fn main() -> crossdock::Result<()> {
/// process::init(); // the first line of main
///
/// let pool = Pool::options()
///     .workers(2)
///     .start(StartMethod::ForkServer)
///     .initializer(prepare, 100)
///     .max_tasks_per_worker(1000)
///     .build()?;
/// assert_eq!(pool.map(|x: usize| TABLE.get().unwrap()[x], [3, 5])?, [9, 25]);
/// # Ok(())
/// # }
/// ```
#[must_use = "options do nothing until build is called"]
pub struct PoolOptions {
    settings: Settings,
    tasks_max: Option<u64>,
    rss_bytes_max: Option<u64>,
    start: Start,
}

/// What a pool knows of how it was made.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) name: String,
    pub(super) workers: usize,
    pub(super) start: StartMethod,
    pub(super) limit: Option<Duration>,
    pub(super) retries: u16,
}

impl PoolOptions {
    pub(super) fn new() -> Self {
        let settings = Settings {
            name: String::new(),
            // Heeds the affinity of this process and the quota of its control group.
            workers: std::thread::available_parallelism().map_or(1, usize::from).min(WORKERS_MAX),
            start: StartMethod::default(),
            limit: None,
            retries: 0,
        };
        let start: Start =
            Box::new(|options, setup| options.spawn(|setup| worker::serve(setup, || ()), setup));
        Self { settings, tasks_max: None, rss_bytes_max: None, start }
    }

    /// What errors, `ps` and the names of its channels call it. Unless said otherwise, `pool`, the pid and a number.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = name.into();
        self
    }

    /// How many workers it has: 1 to [`WORKERS_MAX`]. Unless said otherwise, as many as there are processors for this
    /// process: its affinity and the quota of its control group count.
    #[doc(alias = "processes")]
    pub fn workers(mut self, workers: usize) -> Self {
        self.settings.workers = workers;
        self
    }

    /// How workers come to be. [`StartMethod::ForkServer`] is right for pools that have many, or replace them often.
    /// [`StartMethod::Fork`] is not for pools, which have threads.
    pub fn start(mut self, start: StartMethod) -> Self {
        self.settings.start = start;
        self
    }

    /// What every worker does first. If it panics, then the pool has failed: all tasks end in that error, and no worker is
    /// started again to do the same.
    pub fn initializer<F, A>(mut self, initializer: F, argument: A) -> Self
    where
        F: Fn(A) + Copy + Send + 'static,
        A: Serialize + DeserializeOwned + Clone + Send + 'static,
    {
        self.start = Box::new(move |options, setup| {
            let serve =
                move |(setup, argument): (Setup, A)| worker::serve(setup, || initializer(argument));
            options.spawn(serve, (setup, argument.clone()))
        });
        self
    }

    /// A worker that has done so many tasks ends, and another one takes its place. A chunk counts as one.
    #[doc(alias = "maxtasksperchild")]
    pub fn max_tasks_per_worker(mut self, tasks: u64) -> Self {
        self.tasks_max = Some(tasks.max(1));
        self
    }

    /// A worker that has more than this in memory after a task ends, and another one takes its place. Shared memory that it
    /// has touched counts.
    pub fn max_rss_bytes(mut self, bytes: u64) -> Self {
        self.rss_bytes_max = Some(bytes);
        self
    }

    /// A task that runs for longer fails with [`ErrorKind::TimedOut`]; its worker is ended and replaced. It may be noticed
    /// some milliseconds late. The time that it waits for a worker does not count. For some calls only:
    /// [`Calls::timeout`](super::Calls::timeout).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.limit = Some(timeout);
        self
    }

    /// A task whose worker dies is run again by another one, so many times; after that its future fails. Unless said otherwise,
    /// it fails at once: a task may not bear to be run twice. An argument with an [`ArrayMut`](crate::ArrayMut) in it is refused
    /// then: two could come to own it.
    pub fn retries(mut self, retries: u16) -> Self {
        self.settings.retries = retries;
        self
    }

    /// Makes the pool, and starts its workers.
    ///
    /// # Errors
    ///
    /// * [`ErrorKind::NotInitialized`]: `main` does not begin with [`process::init`](crate::process::init()).
    /// * [`ErrorKind::InvalidArgument`]: no workers or too many, or they are to be forked.
    /// * [`ErrorKind::AlreadyExists`], [`ErrorKind::InvalidName`]: its name.
    /// * [`ErrorKind::TooManyPeers`], [`ErrorKind::NoSpace`]: no room for its channels.
    /// * The system allows no more processes.
    pub fn build(self) -> Result<Pool> {
        let invalid = |text: String| Err(Error::new(ErrorKind::InvalidArgument, text));
        let workers = self.settings.workers;
        if workers == 0 || workers > WORKERS_MAX {
            return invalid(format!("a pool cannot have {workers} workers (1 to {WORKERS_MAX})"));
        }
        if self.settings.start == StartMethod::Fork {
            let text = "the workers of a pool cannot be forked: this process has threads then (use \
                        StartMethod::ForkServer)";
            return invalid(text.to_owned());
        }
        let Self { mut settings, tasks_max, rss_bytes_max, start } = self;
        let (name, links, answers) = connect(&settings, settings.retries)?;
        settings.name = name;
        let cannot = |error| Error::os("cannot make a pool", error);
        let events = Events::new().map_err(cannot)?;
        let (heard, bell) = std::io::pipe().map_err(cannot)?;
        let file = |what: &str| format!("{}.{what}", settings.name);
        let (tasks, answered, board) = (file("tasks"), file("answers"), file("board"));
        let setup = Setup { tasks, answers: answered, board, seat: 0, tasks_max, rss_bytes_max };
        let crew = (0..workers).map(|_| Seat::default()).collect();
        let state = State { links: Some(links), crew, ..State::default() };
        let core = Arc::new_cyclic(|core| {
            Core::new(core, settings, setup, (state, answers), start, (events, bell))
        });
        // From here on, dropping the pool ends what has been started.
        let pool = Pool::of(Arc::clone(&core), threads::start(&core, heard)?);
        (0..workers).try_for_each(|seat| core.fill(seat))?;
        Ok(pool)
    }
}

/// The channels and the board of a pool, under a name that nobody else has.
fn connect(settings: &Settings, retries: u16) -> Result<(String, Links, Receiver<Letter>)> {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    if !settings.name.is_empty() {
        return make(&settings.name, settings.workers, retries);
    }
    let mut tries = 0;
    loop {
        tries += 1;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pool-{}-{number}", std::process::id());
        match make(&name, settings.workers, retries) {
            // A process of another pid namespace, perhaps.
            Err(error) if error.kind() == ErrorKind::AlreadyExists && tries < NAMES_MAX => {}
            made => return made,
        }
    }
}

fn make(name: &str, workers: usize, retries: u16) -> Result<(String, Links, Receiver<Letter>)> {
    let capacity = workers * IN_HAND_MAX + 1;
    // A row for each that works, and for each that has died and is not yet buried.
    let rows = u32::try_from(4 * workers + 64).unwrap_or(u32::MAX);
    let tasks = ChannelOptions::new(capacity).redeliver(retries.saturating_add(1));
    let tasks = tasks.max_unacknowledged(rows).create_sender(&format!("{name}.tasks"))?;
    let letters = Receiver::open(&format!("{name}.tasks"))?;
    let answers: Receiver<Letter> = Receiver::create(&format!("{name}.answers"), 2 * capacity)?;
    let links = Links {
        tasks: Some(tasks),
        letters,
        _answers: crate::channel::Sender::open(answers.name())?,
        board: Arc::new(Board::create(&format!("{name}.board"), workers)?),
    };
    Ok((name.to_owned(), links, answers))
}

impl fmt::Debug for PoolOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolOptions")
            .field("settings", &self.settings)
            .field("max_tasks_per_worker", &self.tasks_max)
            .field("max_rss_bytes", &self.rss_bytes_max)
            .field("retries", &self.settings.retries)
            .finish_non_exhaustive()
    }
}
