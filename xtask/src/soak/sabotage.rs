//! Faults on purpose, to see that the campaign notices.

use crate::campaign::rng::Rng;
use crossdock::registry;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

/// What a worker spoils.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Sabotage {
    /// A message is received and not noted.
    Lose,
    /// A byte of a region is changed through its file.
    Write,
}

/// Writes into regions through their files, as no correct process does.
pub(crate) fn spoil(rng: &mut Rng) {
    let Ok(entries) = std::fs::read_dir(registry::directory()) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let is_region = path.to_string_lossy().matches('.').count() == 4;
        let file = OpenOptions::new().write(true).open(&path);
        if let (true, Ok(file)) = (is_region, file) {
            let len = file.metadata().map_or(1, |metadata| metadata.len().max(1));
            // The region may just be given back.
            let _ = file.write_at(&[rng.next() as u8], rng.below(len));
        }
    }
}
