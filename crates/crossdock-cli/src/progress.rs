//! What is being done, on standard error.
//!
//! On a terminal one line that changes, otherwise one line per stage.

use crate::output::complain;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, stderr};
use std::time::Duration;

const TICK: Duration = Duration::from_millis(100);

pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    stages: u64,
    done: std::cell::Cell<u64>,
}

impl Progress {
    /// Of so many stages.
    pub(crate) fn new(stages: u64) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(stages), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{spinner} [{pos}/{len}] {msg} ({elapsed})");
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
        });
        Self { bar, stages, done: std::cell::Cell::new(0) }
    }

    /// Begins a stage that may take long.
    pub(crate) fn stage(&self, text: &str) {
        self.begin(text);
        if let Some(bar) = &self.bar {
            bar.enable_steady_tick(TICK);
        }
    }

    /// Begins a stage that nothing may disturb: the line stands still.
    pub(crate) fn still_stage(&self, text: &str) {
        self.begin(text);
        if let Some(bar) = &self.bar {
            bar.disable_steady_tick();
            bar.tick();
        }
    }

    fn begin(&self, text: &str) {
        self.done.set(self.done.get() + 1);
        match &self.bar {
            Some(bar) => {
                bar.set_position(self.done.get());
                bar.set_message(text.to_owned());
            }
            None => complain(&format!("[{}/{}] {text}", self.done.get(), self.stages)),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
