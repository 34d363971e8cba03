//! A letter that goes over a line, from one process to another that may not even exist yet.
//!
//! Bytes go as they are. A letter with arrays is put into a mailbox: a channel with room for one message, which then
//! holds the arrays, as every channel holds what is in it. What goes over the line is the mailbox's name, and an open
//! file that makes it be in use, as a user's does. The kernel keeps that file for as long as it is on its way, and
//! closes it with the line: so it matters to nobody when either of the two processes is killed.

use crate::channel::{ChannelOptions, Receiver};
use crate::error::{Error, ErrorKind, Result};
use crate::letter::{Kept, Letter};
use crate::named::{self, Named, reclaim, release_share};
use crate::namespace::{Namespace, check_name};
use crossdock_sys::line::FILES_MAX;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

/// Descriptors that a packet can need besides those here: for its bytes, if they are many.
const OTHER_FILES: usize = 1;
/// How often another name is tried: processes that cannot see each other may have the same number.
const NAMES_MAX: u32 = 100;

/// What the names of mailboxes begin with.
const STEM: &str = "process-";

const IN_PLACE: u8 = 0;
const IN_MAILBOX: u8 = 1;

/// A letter as what goes over a line. One that nobody fetches leaves nothing behind.
#[derive(Debug, Default)]
pub(super) struct Post {
    bytes: Vec<u8>,
    files: Vec<OwnedFd>,
}

impl Post {
    /// What nobody fetches.
    pub(super) fn empty() -> Self {
        Self::default()
    }

    /// What has come over a line.
    pub(super) fn received(bytes: Vec<u8>, files: Vec<OwnedFd>) -> Self {
        Self { bytes, files }
    }

    /// A letter that is to be sent. What it keeps stays with it.
    pub(super) fn of(letter: Letter) -> Result<Self> {
        if !letter.has_arrays() {
            let bytes = [&[IN_PLACE][..], letter.bytes()].concat();
            return Ok(Self { bytes, files: Vec::new() });
        }
        let (name, file) = mailbox(letter)?;
        Ok(Self { bytes: [&[IN_MAILBOX][..], name.as_bytes()].concat(), files: vec![file.into()] })
    }

    /// Adds what makes names last until the letter has been opened.
    pub(super) fn keep(&mut self, kept: &[Kept]) -> Result<()> {
        let mut names: Vec<_> = kept.iter().map(|kept| &kept.name).collect();
        names.sort_unstable();
        names.dedup();
        let room = FILES_MAX - OTHER_FILES - self.files.len();
        if names.len() > room {
            let text = format!(
                "a result can have at most {room} handles of things with names in it, and this one has {} (return their \
                 names)",
                names.len()
            );
            return Err(Error::new(ErrorKind::LimitExceeded, text));
        }
        for name in names {
            self.files.push(share(name)?.into());
        }
        Ok(())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn files(&self) -> Vec<BorrowedFd<'_>> {
        self.files.iter().map(AsFd::as_fd).collect()
    }

    /// The other end of the line has it now.
    pub(super) fn sent(mut self) {
        self.bytes.clear();
    }

    /// What is left to clean up, should the other end of the line end before it fetches it.
    pub(super) fn remnant(mut self) -> Option<Self> {
        self.files.clear();
        self.bytes.starts_with(&[IN_MAILBOX]).then_some(self)
    }

    /// The letter that came.
    pub(super) fn fetch(mut self) -> Result<Letter> {
        let mut letter = match self.bytes.split_first() {
            Some((&IN_PLACE, rest)) => Letter::from_bytes(rest.to_vec()),
            Some((&IN_MAILBOX, name)) => {
                let mailbox = Receiver::open(mailbox_name(name)?)?;
                // From here on it is in use by the receiver, the last one to be.
                if !self.files.is_empty() {
                    leave(self.files.remove(0));
                }
                mailbox.try_recv()?
            }
            _ => return Err(Error::corrupt("a message from another process", "it has no kind")),
        };
        self.bytes.clear();
        let shares = std::mem::take(&mut self.files);
        letter.keep(shares.into_iter().map(|file| Kept::new("", Share(Some(file)))));
        Ok(letter)
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        // What nobody fetches, the last to have it throws away; if it cannot be done now, whoever cleans up later does.
        let Some((&IN_MAILBOX, name)) = self.bytes.split_first() else { return };
        std::mem::take(&mut self.files).into_iter().for_each(leave);
        if let (Ok(name), Ok(namespace)) = (mailbox_name(name), Namespace::current()) {
            let _ = reclaim(&namespace, None, name);
        }
    }
}

/// What kept a name in use on the way, and does so until this is dropped.
struct Share(Option<OwnedFd>);

impl Drop for Share {
    fn drop(&mut self) {
        if let Some(share) = self.0.take() {
            leave(share);
        }
    }
}

/// Is no user of a name any more, also where a child that was forked meanwhile has a copy of the descriptor.
fn leave(share: OwnedFd) {
    // If it fails, then with the last copy the kernel does it.
    let _ = release_share(&share.into());
}

fn mailbox_name(name: &[u8]) -> Result<&str> {
    let wrong = |why: &str| Error::corrupt("the name of a mailbox", why);
    let name = std::str::from_utf8(name).map_err(|_| wrong("it is no text"))?;
    check_name(name)?;
    if name.starts_with(STEM) { Ok(name) } else { Err(wrong("it is that of something else")) }
}

/// A new mailbox with a letter in it: its name, and what makes it be in use.
fn mailbox(letter: Letter) -> Result<(String, File)> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let letter = letter.for_channel()?;
    let mut tries = 0;
    loop {
        tries += 1;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{STEM}{}-{number}", std::process::id());
        match ChannelOptions::new(1).create_sender(&name) {
            Ok(sender) => {
                sender.send(letter).map_err(Error::from)?;
                let share = share(&name)?;
                return Ok((name, share));
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists && tries < NAMES_MAX => {}
            Err(error) => return Err(error),
        }
    }
}

/// Another open file under a name, which makes it be in use.
fn share(name: &str) -> Result<File> {
    let named = Named::open(&Namespace::current()?, None, name, named::Share::Read)?;
    let failed = |error| Error::os(format_args!("cannot keep {name:?}"), error);
    named.into_share().map_err(failed)
}
