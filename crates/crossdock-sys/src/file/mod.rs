//! Files in shared memory: unnamed until complete, exclusively named, locked while in use.

mod linux;

pub use linux::{
    Directory, Names, Status, anonymous, create_posix, link, lock_exclusive, lock_shared, open,
    open_posix, punch, reserve, set_mode, status, unlink_posix, unlock, unnamed,
};
