//! The program, or shared library, that an address belongs to: where it lies here, and which build it is.

mod linux;

pub use linux::Image;
