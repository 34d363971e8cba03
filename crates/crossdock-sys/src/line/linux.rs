//! A pair of `AF_UNIX` sockets that keep packets apart (`SOCK_SEQPACKET`, `unix(7)`).
//!
//! What a socket can hold is little (`net.core.wmem_default`, some 200 KiB), so a long packet is written to
//! a memory file first, and its descriptor is sent.

use crate::child::Child;
use crate::clock::Deadline;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{MemfdFlags, Timespec};
use rustix::io::{Errno, IoSlice, IoSliceMut};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, Shutdown, SocketFlags, SocketType,
};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

/// Descriptors that a packet can bring along.
pub const FILES_MAX: usize = 16;
/// Bytes of the longest packet.
pub const PACKET_BYTES_MAX: usize = 16 << 20;

/// A longer packet travels in a file.
const INLINE_BYTES_MAX: usize = 16 << 10;
/// The first byte of a packet: where the others are.
const INLINE: u8 = 0;
const IN_FILE: u8 = 1;

/// The other end has been closed, and nobody had read all that was sent to it. The socket says so once, before
/// anything else; what was sent from there can still be received (`sock_error` in `__skb_try_recv_datagram`).
const SAID_ONCE: Errno = Errno::CONNRESET;

/// One end of a line.
#[derive(Debug)]
pub struct Line(OwnedFd);

/// What has come over a line.
#[derive(Debug)]
pub struct Packet {
    /// The bytes, as many as were sent.
    pub bytes: Vec<u8>,
    /// The files, in the order in which they were sent.
    pub files: Vec<OwnedFd>,
    /// Whether files are missing at the end: this process had no descriptor left for them. Only
    /// [`Line::receive_part`] gives such a packet.
    pub is_cut: bool,
}

impl Line {
    /// Both ends of a new line. No program that is started later gets either of them.
    ///
    /// # Errors
    ///
    /// No descriptor or memory left.
    #[doc(alias = "socketpair")]
    pub fn pair() -> io::Result<(Self, Self)> {
        let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
        let (a, b) = rustix::net::socketpair(family, kind, SocketFlags::CLOEXEC, None)?;
        Ok((Self(a), Self(b)))
    }

    /// The end of a line that this process was given as `fd`, whose number must be `id`.
    ///
    /// It must be made by this user or root, in whose hands this process is anyway: whoever else starts a program
    /// with more rights than he has must not tell it what to do.
    ///
    /// # Errors
    ///
    /// It is something else, or from another user (`PermissionDenied`).
    pub fn adopt(fd: OwnedFd, id: u64) -> io::Result<Self> {
        let line = Self(fd);
        let is_packets = rustix::net::sockopt::socket_type(&line.0)? == SocketType::SEQPACKET;
        if !is_packets || line.id()? != id {
            let text = "not the line that was announced";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let (maker, user) = (line.maker()?, rustix::process::geteuid().as_raw());
        if maker != user && maker != 0 {
            let text = format!("the line is from user {maker}, and this process is user {user}'s");
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        Ok(line)
    }

    /// The user who made the line. Not with rustix, which cannot express that of another pid namespace.
    #[doc(alias = "SO_PEERCRED")]
    #[allow(unsafe_code, reason = "getsockopt is a C interface")]
    fn maker(&self) -> io::Result<u32> {
        let mut maker = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
        let mut len = libc::socklen_t::try_from(size_of_val(&maker)).unwrap_or_default();
        let (fd, place) = (self.0.as_raw_fd(), (&raw mut maker).cast());
        // SAFETY: `place` has `len` bytes to write to, and `len` may be written.
        let got = unsafe {
            libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_PEERCRED, place, &raw mut len)
        };
        if got == 0 { Ok(maker.uid) } else { Err(io::Error::last_os_error()) }
    }

    /// A number that no other end of a line on this machine has.
    ///
    /// # Errors
    ///
    /// That of the system call.
    pub fn id(&self) -> io::Result<u64> {
        Ok(rustix::fs::fstat(&self.0)?.st_ino)
    }

    /// Sends a packet.
    ///
    /// # Errors
    ///
    /// The other end has gone (`BrokenPipe`), the packet is too long, or there is no memory for it.
    ///
    /// # Panics
    ///
    /// With more than [`FILES_MAX`] files, the one for a long packet included.
    pub fn send(&self, bytes: &[u8], files: &[BorrowedFd<'_>]) -> io::Result<()> {
        if bytes.len() <= INLINE_BYTES_MAX {
            return self.send_parts(INLINE, bytes, files);
        }
        if bytes.len() > PACKET_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the packet is too long"));
        }
        let file = File::from(rustix::fs::memfd_create("crossdock-packet", MemfdFlags::CLOEXEC)?);
        file.write_all_at(bytes, 0)?;
        let mut all = vec![file.as_fd()];
        all.extend_from_slice(files);
        self.send_parts(IN_FILE, &[], &all)
    }

    fn send_parts(&self, kind: u8, bytes: &[u8], files: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !files.is_empty() {
            let fits = control.push(SendAncillaryMessage::ScmRights(files));
            assert!(fits, "a packet brings at most {FILES_MAX} files");
        }
        let kind = [kind];
        let parts = [IoSlice::new(&kind), IoSlice::new(bytes)];
        loop {
            match rustix::net::sendmsg(&self.0, &parts, &mut control, SendFlags::NOSIGNAL) {
                Err(Errno::INTR | SAID_ONCE) => {}
                sent => return sent.map(drop).map_err(Into::into),
            }
        }
    }

    /// The next packet, waiting for it; `None` when the other end has gone and all has been read.
    ///
    /// # Errors
    ///
    /// No descriptor or memory left; a packet that cannot be one.
    pub fn receive(&self) -> io::Result<Option<Packet>> {
        whole(self.receive_with(RecvFlags::CMSG_CLOEXEC)?)
    }

    /// As [`receive`](Self::receive), but a packet also comes when there was no descriptor left for all of
    /// its files.
    ///
    /// # Errors
    ///
    /// As those of `receive`.
    pub fn receive_part(&self) -> io::Result<Option<Packet>> {
        self.receive_with(RecvFlags::CMSG_CLOEXEC)
    }

    /// As [`receive`](Self::receive), but the error is `WouldBlock` when nothing has come.
    ///
    /// # Errors
    ///
    /// As those of `receive`.
    pub fn try_receive(&self) -> io::Result<Option<Packet>> {
        whole(self.receive_with(RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT)?)
    }

    fn receive_with(&self, flags: RecvFlags) -> io::Result<Option<Packet>> {
        let len = self.next_len(flags)?;
        if len == 0 {
            return Ok(None);
        }
        let mut bytes = vec![0; len];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let mut parts = [IoSliceMut::new(&mut bytes)];
            match rustix::net::recvmsg(&self.0, &mut parts, &mut control, flags) {
                Err(Errno::INTR | SAID_ONCE) => {}
                received => break received?,
            }
        };
        // The kernel installs as many as it can, and says no more (`scm_detach_fds` in net/core/scm.c).
        let is_cut = received.flags.contains(ReturnFlags::CTRUNC);
        let mut files = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(sent) = message {
                files.extend(sent);
            }
        }
        bytes.truncate(received.bytes);
        match bytes.first() {
            None => Ok(None),
            Some(&INLINE) => {
                bytes.remove(0);
                Ok(Some(Packet { bytes, files, is_cut }))
            }
            Some(&IN_FILE) if files.is_empty() && is_cut => Err(Errno::MFILE.into()),
            Some(&IN_FILE) if !files.is_empty() => {
                let bytes = read(&File::from(files.remove(0)))?;
                Ok(Some(Packet { bytes, files, is_cut }))
            }
            Some(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "no packet is like this")),
        }
    }

    /// Bytes of the next packet, 0 if the other end has gone. Memory for the longest would cost a page fault a
    /// page in a process that has been forked.
    fn next_len(&self, flags: RecvFlags) -> io::Result<usize> {
        let flags = flags | RecvFlags::PEEK | RecvFlags::TRUNC;
        loop {
            match rustix::net::recv(&self.0, &mut [0_u8; 0][..], flags) {
                Err(Errno::INTR | SAID_ONCE) => {}
                looked => return Ok(looked?.1.min(1 + INLINE_BYTES_MAX)),
            }
        }
    }

    /// Waits until the other end has gone or been [shut](Self::shut), without a look at what has come;
    /// false when the deadline has passed before.
    ///
    /// # Errors
    ///
    /// That of `poll(2)`.
    pub fn await_end(&self, deadline: Option<Deadline>) -> io::Result<bool> {
        await_any(&mut [PollFd::new(&self.0, PollFlags::empty())], deadline)
    }

    /// Waits until the other end has gone or been [shut](Self::shut), or a process has ended; false when the
    /// deadline has passed before.
    ///
    /// # Errors
    ///
    /// That of `poll(2)`.
    pub fn await_end_or(&self, child: &Child, deadline: Option<Deadline>) -> io::Result<bool> {
        let line = PollFd::new(&self.0, PollFlags::empty());
        await_any(&mut [line, PollFd::from_borrowed_fd(child.as_fd(), PollFlags::IN)], deadline)
    }

    /// Waits until something has come, or the other end has gone, or a process has ended; whether it is the
    /// line.
    ///
    /// # Errors
    ///
    /// That of `poll(2)`.
    pub fn await_packet_or(&self, child: &Child) -> io::Result<bool> {
        let mut fds = [
            PollFd::new(&self.0, PollFlags::IN),
            PollFd::from_borrowed_fd(child.as_fd(), PollFlags::IN),
        ];
        loop {
            match poll(&mut fds, None) {
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
                Ok(_) => return Ok(!fds[0].revents().is_empty()),
            }
        }
    }

    /// Ends the line, whoever else has a copy of this end. What was sent can still be received.
    #[doc(alias = "shutdown")]
    pub fn shut(&self) {
        // It fails only if the line has ended.
        let _ = rustix::net::shutdown(&self.0, Shutdown::Both);
    }
}

impl AsFd for Line {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<Line> for OwnedFd {
    fn from(line: Line) -> Self {
        line.0
    }
}

impl From<OwnedFd> for Line {
    /// For a descriptor that came over another line.
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

/// Half a packet is none.
fn whole(packet: Option<Packet>) -> io::Result<Option<Packet>> {
    match packet {
        Some(Packet { is_cut: true, .. }) => Err(Errno::MFILE.into()),
        packet => Ok(packet),
    }
}

fn read(file: &File) -> io::Result<Vec<u8>> {
    let len = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    if len > PACKET_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the packet is too long"));
    }
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// Waits for an event of one of `fds`, or the end of what it leads to; false when the deadline has passed before.
pub(crate) fn await_any(fds: &mut [PollFd<'_>], deadline: Option<Deadline>) -> io::Result<bool> {
    loop {
        let left = deadline.map(|deadline| {
            let nanos = deadline.as_nanos().saturating_sub(crate::clock::now_ns());
            // Both fit: a deadline is at most `i64::MAX` nanoseconds.
            let tv_sec = i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX);
            Timespec { tv_sec, tv_nsec: (nanos % 1_000_000_000) as _ }
        });
        match poll(fds, left.as_ref()) {
            Ok(0) if deadline.is_some_and(Deadline::is_past) => return Ok(false),
            Ok(0) | Err(Errno::INTR) => {}
            ready => return ready.map(|_| true).map_err(Into::into),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::time::Duration;

    #[test]
    fn packets_of_any_length_arrive_whole_and_in_order_though_nobody_reads_yet() {
        let (a, b) = Line::pair().unwrap();
        let sizes = [0, 1, INLINE_BYTES_MAX, INLINE_BYTES_MAX + 1, 1 << 20, PACKET_BYTES_MAX];
        for size in sizes {
            a.send(&vec![size as u8 ^ 5; size], &[]).unwrap();
        }
        for size in sizes {
            let packet = b.receive().unwrap().unwrap();
            assert_eq!(packet.bytes.len(), size);
            assert!(packet.bytes.iter().all(|&byte| byte == size as u8 ^ 5));
            assert!(packet.files.is_empty());
        }
        assert_eq!(b.try_receive().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let long = vec![0; PACKET_BYTES_MAX + 1];
        assert_eq!(a.send(&long, &[]).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn files_come_along_beside_short_and_long_packets() {
        let (a, b) = Line::pair().unwrap();
        for size in [3, INLINE_BYTES_MAX + 3] {
            let (end, far_end) = Line::pair().unwrap();
            a.send(&vec![7; size], &[end.as_fd()]).unwrap();
            drop(end);
            let mut packet = b.receive().unwrap().unwrap();
            assert_eq!((packet.bytes.len(), packet.files.len()), (size, 1));
            let end = Line::from(packet.files.remove(0));
            end.send(b"through", &[]).unwrap();
            assert_eq!(far_end.receive().unwrap().unwrap().bytes, b"through");
        }
    }

    #[test]
    fn an_end_is_seen_when_the_last_copy_has_gone_or_any_copy_is_shut() {
        let soon = || Some(Deadline::after(Duration::from_millis(1)));
        let (a, b) = Line::pair().unwrap();
        let copy = Line(a.as_fd().try_clone_to_owned().unwrap());
        drop(a);
        copy.send(b"last words", &[]).unwrap();
        assert!(!b.await_end(soon()).unwrap(), "a packet is no end");
        let other = Line(copy.as_fd().try_clone_to_owned().unwrap());
        copy.shut();
        assert!(b.await_end(None).unwrap());
        assert_eq!(b.receive().unwrap().unwrap().bytes, b"last words");
        assert!(b.receive().unwrap().is_none());
        assert_eq!(b.send(b"too late", &[]).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        drop(other);
    }

    #[test]
    fn the_last_words_of_an_end_that_has_not_read_all_arrive() {
        let (a, b) = Line::pair().unwrap();
        a.send(b"unread", &[]).unwrap();
        b.send(b"last words", &[]).unwrap();
        drop(b);
        assert!(a.await_end(None).unwrap());
        assert_eq!(a.receive().unwrap().unwrap().bytes, b"last words");
        assert!(a.receive().unwrap().is_none());
        let (a, b) = Line::pair().unwrap();
        a.send(b"unread", &[]).unwrap();
        drop(b);
        assert_eq!(a.send(b"too late", &[]).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert!(a.try_receive().unwrap().is_none());
    }

    #[test]
    fn only_the_announced_line_is_adopted() {
        let (a, b) = Line::pair().unwrap();
        let id = b.id().unwrap();
        assert_ne!(id, a.id().unwrap());
        assert_eq!(b.maker().unwrap(), rustix::process::geteuid().as_raw());
        assert!(Line::adopt(a.into(), id).is_err());
        assert!(Line::adopt(b.into(), id).is_ok());
        let mut file = File::open("/dev/null").unwrap();
        assert_eq!(file.read(&mut [0]).unwrap(), 0);
        assert!(Line::adopt(file.into(), id).is_err());
    }
}
