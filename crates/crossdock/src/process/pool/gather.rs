//! The results of many calls, which become one value when all are there.

use super::super::executor::{Future, Promise};
use super::core::Core;
use super::job::{Call, keep};
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

impl<R: Send + 'static, T: Send + 'static> Gather<R, T> {
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
        let gather = Arc::new(gather);
        if len == 0
            && let Some(call) = gather.put(0, [])
        {
            call();
        }
        (gather, future)
    }

    /// Some of it is about to be done; false if nobody wants it any more.
    pub(super) fn start(&self) -> bool {
        self.state.lock().promise.as_ref().is_none_or(Promise::start)
    }

    /// Some results, the first of them in place `from`. What is to be called then comes back.
    #[must_use = "somebody wants to be called"]
    pub(super) fn put(
        self: &Arc<Self>,
        from: usize,
        results: impl IntoIterator<Item = Result<R>>,
    ) -> Option<Call> {
        let mut state = self.state.lock();
        let mut new = 0;
        let Gathered { results: places, .. } = &mut *state;
        for (place, result) in places.iter_mut().skip(from).zip(results) {
            new += usize::from(place.is_none());
            *place = Some(result);
        }
        state.left -= new;
        let (left, all) = (state.left, state.results.len());
        let is_finished = left == 0;
        let promise = if is_finished { state.promise.take() } else { None };
        let results = if is_finished { std::mem::take(&mut state.results) } else { Vec::new() };
        drop(state);
        if self.progress.is_some() {
            let gather = Arc::clone(self);
            return Some(Box::new(move || {
                gather.tell((all - left) as u64, all as u64);
                if let Some(call) = gather.keep(promise, results) {
                    call();
                }
            }));
        }
        self.keep(promise, results)
    }

    /// Makes one value of all results.
    fn keep(&self, promise: Option<Promise<T>>, results: Vec<Option<Result<R>>>) -> Option<Call> {
        let missing = || Err(Error::new(ErrorKind::Cancelled, "there is no result"));
        let promise = promise?;
        let results = results.into_iter().map(|result| result.unwrap_or_else(missing));
        keep(promise, (self.finish)(results.collect()))
    }

    /// As with callbacks, a panic harms nobody else.
    fn tell(&self, ended: u64, all: u64) {
        let Some(progress) = &self.progress else { return };
        if catch_unwind(AssertUnwindSafe(|| progress(ended, all))).is_err() {
            self.core.tally.panicked_callbacks.fetch_add(1, Ordering::Relaxed);
        }
    }
}
