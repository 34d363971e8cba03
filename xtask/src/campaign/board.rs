//! A table of numbers that workers and controller share: an ordinary file, not the library under test.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{Ordering, fence};

/// Numbers that each worker has.
pub(crate) const FIELDS: usize = 16;
/// Rows: the workers, and the controller's in front.
const ROWS: usize = 1 + WORKERS_MAX;
/// Workers that a campaign can have.
pub(crate) const WORKERS_MAX: usize = 8;

/// The table, open.
#[derive(Debug)]
pub(crate) struct Board {
    file: File,
    violations: File,
}

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    Controller,
    Worker(usize),
}

/// The controller tells the workers to stop: 0 is no.
pub(crate) const STOP: usize = 0;

impl Board {
    /// Opens the table in `side`, or makes it.
    pub(crate) fn open(side: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(side.join("board"))?;
        file.set_len((ROWS * FIELDS * size_of::<u64>()) as u64)?;
        let mut options = OpenOptions::new();
        let violations = options.append(true).create(true).open(side.join("violations"))?;
        Ok(Self { file, violations })
    }

    /// Sets everything to 0.
    pub(crate) fn clear(&self) {
        for worker in 0..WORKERS_MAX {
            (0..FIELDS).for_each(|field| self.set(Row::Worker(worker), field, 0));
        }
        (0..FIELDS).for_each(|field| self.set(Row::Controller, field, 0));
    }

    fn offset(row: Row, field: usize) -> u64 {
        let row = match row {
            Row::Controller => 0,
            Row::Worker(worker) => worker + 1,
        };
        ((row * FIELDS + field) * size_of::<u64>()) as u64
    }

    pub(crate) fn get(&self, row: Row, field: usize) -> u64 {
        let mut bytes = [0; 8];
        fence(Ordering::SeqCst);
        self.file.read_exact_at(&mut bytes, Self::offset(row, field)).expect("the board is there");
        fence(Ordering::SeqCst);
        u64::from_le_bytes(bytes)
    }

    pub(crate) fn set(&self, row: Row, field: usize, value: u64) {
        fence(Ordering::SeqCst);
        self.file
            .write_all_at(&value.to_le_bytes(), Self::offset(row, field))
            .expect("the board is there");
        fence(Ordering::SeqCst);
    }

    /// Adds to a number that only one process writes.
    pub(crate) fn add(&self, row: Row, field: usize, count: u64) {
        self.set(row, field, self.get(row, field) + count);
    }

    /// Raises a number that only one process writes.
    pub(crate) fn raise(&self, row: Row, field: usize, value: u64) {
        if value > self.get(row, field) {
            self.set(row, field, value);
        }
    }

    /// The sum of a number over all workers.
    pub(crate) fn sum(&self, field: usize) -> u64 {
        (0..WORKERS_MAX).map(|worker| self.get(Row::Worker(worker), field)).sum()
    }

    /// The greatest of a number over all workers.
    pub(crate) fn max(&self, field: usize) -> u64 {
        (0..WORKERS_MAX).map(|worker| self.get(Row::Worker(worker), field)).max().unwrap_or(0)
    }

    /// Whether the controller wants the workers to stop.
    pub(crate) fn is_stopped(&self) -> bool {
        self.get(Row::Controller, STOP) != 0
    }

    /// Writes down what went against the promises, for the controller.
    pub(crate) fn report(&self, text: &str) {
        // One write, so that lines of two workers do not mix; nowhere else to tell a failure.
        let _ = (&self.violations).write_all(format!("{}\n", text.replace('\n', " ")).as_bytes());
    }

    /// What the workers of a campaign wrote down.
    pub(crate) fn reports(side: &Path) -> Vec<String> {
        let text = std::fs::read_to_string(side.join("violations")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}
