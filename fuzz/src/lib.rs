//! What the targets share: memory as another process may have left it, and a reader of the input.

use crossdock_core::memory::{ALIGNMENT, Memory};
use crossdock_core::party::{PARTIES_MAX, Party};
use crossdock_core::ring::MESSAGE_WORDS_MAX;
use crossdock_core::settings::{Mode, Settings};
use crossdock_core::ticket::Ticket;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of memory that a target maps at most.
pub const LEN_MAX: usize = 64 << 10;

/// Memory with an address sanitizer's red zone right behind its last byte.
#[derive(Debug)]
pub struct Hostile {
    base: NonNull<u8>,
    layout: Layout,
}

impl Hostile {
    /// Memory of `len` bytes, at least one, that begins with `contents`; the rest is zero.
    ///
    /// # Panics
    ///
    /// When `len` is out of proportion, which is a bug of the target.
    #[must_use]
    pub fn new(len: usize, contents: &[u8]) -> Self {
        let layout = Layout::from_size_align(len.max(1), ALIGNMENT).expect("a sane length");
        // SAFETY: the layout has at least one byte.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) });
        let base = base.unwrap_or_else(|| handle_alloc_error(layout));
        let count = contents.len().min(len);
        // SAFETY: both have at least `count` bytes, and the new one is nobody else's yet.
        unsafe { base.as_ptr().copy_from_nonoverlapping(contents.as_ptr(), count) };
        Self { base, layout }
    }

    /// The memory as the library sees a mapped file.
    ///
    /// # Panics
    ///
    /// Never: the allocation is aligned.
    #[must_use]
    pub fn memory(&self) -> Memory<'_> {
        // SAFETY: the bytes are allocated while `self` is borrowed, and accessed as atomics only.
        unsafe { Memory::new(self.base, self.layout.size()) }.expect("an aligned allocation")
    }

    /// Another process writes a word somewhere.
    pub fn poke(&self, index: usize, value: u64) {
        let words = self.layout.size() / 8;
        if words > 0 {
            // SAFETY: the word lies inside the allocation.
            let word = unsafe { self.base.cast::<u64>().add(index % words) };
            // SAFETY: it is aligned, lives while `self` is borrowed, and is accessed as an atomic only.
            unsafe { AtomicU64::from_ptr(word.as_ptr()) }.store(value, Ordering::Relaxed);
        }
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and nobody has a reference any more.
        unsafe { dealloc(self.base.as_ptr(), self.layout) };
    }
}

/// Reads numbers off the input; it goes on with zeroes.
#[derive(Debug)]
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// A reader of all of it.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether all has been read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next `count` bytes, or as many as are left.
    pub fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        head
    }

    /// One byte.
    pub fn byte(&mut self) -> usize {
        self.bytes(1).first().copied().map_or(0, usize::from)
    }

    /// Two bytes.
    pub fn short(&mut self) -> usize {
        self.byte() | (self.byte() << 8)
    }

    /// Eight bytes.
    pub fn word(&mut self) -> u64 {
        let mut word = [0; 8];
        let bytes = self.bytes(8);
        word[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(word)
    }

    /// One of the parties.
    ///
    /// # Panics
    ///
    /// Never: the number is in range.
    pub fn party(&mut self) -> Party {
        Party::new(self.short() % PARTIES_MAX).expect("a number in range")
    }
}

/// Settings of a channel, small enough for a target and as checked as those of a header.
///
/// # Panics
///
/// Never: the fields are in range.
pub fn settings(input: &mut Input<'_>, mode: Mode) -> Settings {
    let is_acknowledged = mode == Mode::Queue && input.byte() % 2 == 0;
    let settings = Settings {
        mode,
        arrays: (input.byte() % 4) as u8,
        record_bytes: (input.byte() % 256) as u16,
        deliveries_max: if is_acknowledged { 1 + (input.byte() % 3) as u16 } else { 0 },
        unacknowledged_max: if is_acknowledged { 1 + (input.byte() % 4) as u32 } else { 0 },
        ..Settings::default()
    };
    assert_eq!(Settings::from_bytes(&settings.to_bytes()), Ok(settings));
    settings
}

/// A payload; a long one repeats what is in its first words.
pub fn payload(input: &mut Input<'_>) -> Vec<u64> {
    let count = match input.byte() {
        small @ 0..192 => small % 16,
        great => great % (MESSAGE_WORDS_MAX + 1),
    };
    let first: Vec<u64> = (0..count.min(16)).map(|_| input.word()).collect();
    first.iter().copied().cycle().take(count).collect()
}

/// What another process pokes: lap, party and state more often than not.
pub fn word(input: &mut Input<'_>) -> u64 {
    let kind = input.byte();
    if kind % 4 == 0 {
        return input.word();
    }
    let lap = (kind as u64 / 4 % 8).wrapping_sub(2);
    let bits = input.short() as u64;
    (lap << 20) | (bits & if kind % 4 == 1 { 0xf } else { 0xffff })
}

/// Reads a payload as tickets; what is accepted must survive being written again. Returns how many there are.
///
/// # Panics
///
/// When it does not, which is a bug of the library.
pub fn read_tickets(payload: &[u64]) -> usize {
    let mut rest = payload;
    let mut count = 0;
    while let Ok((ticket, behind)) = Ticket::split_from(rest) {
        let (words, used) = ticket.to_words();
        assert!(words[used..].iter().all(|word| *word == 0), "a word that counts is not sent");
        assert_eq!(Ticket::from_words(&words[..used]), Ok(ticket));
        assert!(ticket.offset_bytes.checked_add(ticket.len_bytes).is_some());
        assert_eq!(behind.len() + used, rest.len());
        rest = behind;
        count += 1;
    }
    count
}
