//! Micro-benchmarks of crossdock's own parts: `cargo bench -p crossdock-benches`.
//!
//! What it costs between processes, beside other libraries, is measured in `benches/compare`.
#![forbid(unsafe_code)]
