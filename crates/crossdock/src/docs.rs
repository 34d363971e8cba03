//! The pages of the project's `docs` folder.

#[doc = include_str!("../../../docs/memory-model.md")]
pub mod memory_model {}

#[doc = include_str!("../../../docs/chooser.md")]
pub mod chooser {}

#[doc = include_str!("../../../docs/layout.md")]
pub mod layout {}

#[doc = include_str!("../../../docs/caveats.md")]
pub mod caveats {}

#[doc = include_str!("../../../docs/how-to-break-it.md")]
pub mod how_to_break_it {}

#[doc = include_str!("../../../README.md")]
pub mod readme {}
