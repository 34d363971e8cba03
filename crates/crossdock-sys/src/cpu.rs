//! How many processors this process may use: spinning pays only with more than one.

use std::sync::OnceLock;

/// The number of processors in this process's affinity mask, at least 1; read once.
pub fn allowed_cpus() -> usize {
    static CPUS: OnceLock<usize> = OnceLock::new();
    *CPUS.get_or_init(|| {
        rustix::thread::sched_getaffinity(None)
            .map_or(1, |set| usize::try_from(set.count()).unwrap_or(1).max(1))
    })
}
