//! Processes that may have few descriptors. A test that wants this names the file: some tests have no unsafe code at all.
#![allow(unsafe_code, reason = "the standard library sets no limits")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its processes has failed")]

/// From now on, a process may have this many descriptors; how many that were before. It may be raised again.
pub(crate) fn limit_files(pid: u32, count: u64) -> u64 {
    let pid = libc::pid_t::try_from(pid).unwrap();
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: there is no new limit, and the old one may be written.
    let got = unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, std::ptr::null(), &raw mut limit) };
    assert_eq!(got, 0, "{}", std::io::Error::last_os_error());
    // Who has lowered the other one cannot raise it again.
    let before = std::mem::replace(&mut limit.rlim_cur, count);
    // SAFETY: the new limit is valid, and the old one is not asked for.
    let set =
        unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, &raw const limit, std::ptr::null_mut()) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
    before
}
