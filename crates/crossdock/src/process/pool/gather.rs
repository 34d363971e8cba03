//! The results of many calls, which become one value when all are there.

use super::super::executor::{Future, Promise};
use super::core::Core;
use crate::error::{Error, ErrorKind, Result};
use parking_lot::Mutex;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Told the calls that have ended, and all of them.
pub(super) type Progress = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// What becomes of all results.
pub(super) type Finish<R, T> = fn(Vec<Result<R>>) -> Result<T>;

pub(super) struct Gather<R, T> {
    core: Arc<Core>,
    state: Mutex<Gathered<R, T>>,
    finish: Finish<R, T>,
    progress: Option<Progress>,
}

struct Gathered<R, T> {
    results: Vec<Option<Result<R>>>,
    left: usize,
    /// Until all are there.
    promise: Option<Promise<T>>,
}

impl<R, T> Gather<R, T> {
    /// A place for `len` results.
    pub(super) fn new(
        core: &Arc<Core>,
        len: usize,
        finish: Finish<R, T>,
        progress: Option<Progress>,
    ) -> (Arc<Self>, Future<T>) {
        let driver: Arc<Core> = Arc::clone(core);
        let (future, promise) = Future::new(Some(driver), Some(Arc::clone(&core.tally)));
        let results = (0..len).map(|_| None).collect();
        let state = Mutex::new(Gathered { results, left: len, promise: Some(promise) });
        let gather = Self { core: Arc::clone(core), state, finish, progress };
        if len == 0 {
            gather.put(0, []);
        }
        (Arc::new(gather), future)
    }

    /// Some of it is about to be done; false if nobody wants it any more.
    pub(super) fn start(&self) -> bool {
        self.state.lock().promise.as_ref().is_none_or(Promise::start)
    }

    /// Whether what users wrote is called by [`put`](Self::put).
    pub(super) fn calls_out(&self) -> bool {
        self.progress.is_some()
            || self.state.lock().promise.as_ref().is_some_and(Promise::calls_out)
    }

    /// Some results, the first of them in place `from`.
    pub(super) fn put(&self, from: usize, results: impl IntoIterator<Item = Result<R>>) {
        let mut state = self.state.lock();
        let mut new = 0;
        let Gathered { results: places, .. } = &mut *state;
        for (place, result) in places.iter_mut().skip(from).zip(results) {
            new += usize::from(place.is_none());
            *place = Some(result);
        }
        state.left -= new;
        let (left, all) = (state.left, state.results.len());
        let finished =
            (left == 0).then(|| (state.promise.take(), std::mem::take(&mut state.results)));
        drop(state);
        if let Some(progress) = &self.progress {
            self.tell(progress, (all - left) as u64, all as u64);
        }
        if let Some((Some(promise), results)) = finished {
            let missing = || Err(Error::new(ErrorKind::Cancelled, "there is no result"));
            let results = results.into_iter().map(|result| result.unwrap_or_else(missing));
            promise.keep((self.finish)(results.collect()));
        }
    }

    /// As with callbacks, a panic harms nobody else.
    fn tell(&self, progress: &Progress, ended: u64, all: u64) {
        if catch_unwind(AssertUnwindSafe(|| progress(ended, all))).is_err() {
            self.core.tally.panicked_callbacks.fetch_add(1, Ordering::Relaxed);
        }
    }
}
