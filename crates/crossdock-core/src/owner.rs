//! A process as the owner of a lock: one small number that tells it from all who came before.
//!
//! A lock in shared memory says who holds it, so that others can ask whether the holder still lives.
//! The number is a party's place in the table of parties and the low bits of its epoch: 29 bits, never 0.
//! Who that is, and whether it lives, is known on a higher floor, which [`install`]s itself here.
//!
//! | bits | meaning |
//! |---|---|
//! | 0..9 | 1 + place: 1..=336 a party, 337 a process that is no party |
//! | 9..29 | low 20 bits of the party's epoch |
//!
//! A process that has never used crossdock is no party, a stranger: what it locks in its own memory works,
//! nobody ever takes it for dead, and a child that it forks cannot tell its guards from its own. A child of a
//! party is somebody else from its first lock on.

use crate::party::{PARTIES_MAX, PartyId};
use crate::primitive;
use std::fmt;
use std::sync::OnceLock;

/// Places that an owner can have: the parties, and one for all who are none.
pub const OWNERS_MAX: usize = PARTIES_MAX + 1;
/// The bits of a word that say who the owner is.
pub(crate) const OWNER_BITS: u32 = (1 << 29) - 1;
/// Bits of the epoch that an owner keeps.
pub(crate) const EPOCH_BITS: u32 = 20;
const PLACE_BITS: u32 = 9;
const PLACE_MASK: u32 = (1 << PLACE_BITS) - 1;
const EPOCH_MASK: u32 = (1 << EPOCH_BITS) - 1;

/// The owner of a lock.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner(u32);

impl Owner {
    /// Whoever is no party.
    pub(crate) const STRANGER: Self = Self(PARTIES_MAX as u32 + 1);
    /// Nobody: what no correct process can have written.
    pub(crate) const WILD: Self = Self(PLACE_MASK);

    /// The owner that a party is.
    #[must_use]
    pub fn of(id: PartyId) -> Self {
        Self::at(id.party.index(), id.epoch as u32 & EPOCH_MASK)
    }

    /// The owner at a place, in an epoch.
    pub(crate) fn at(index: usize, epoch: u32) -> Self {
        Self(((epoch & EPOCH_MASK) << PLACE_BITS) | (index as u32 + 1))
    }

    /// The owner that a word names; `None` if it names nobody. Only the owner's bits are looked at.
    #[inline]
    #[must_use]
    pub fn from_word(word: u32) -> Option<Self> {
        let owner = word & OWNER_BITS;
        (owner != 0).then_some(Self(owner))
    }

    /// The word that names it.
    #[inline]
    #[must_use]
    pub fn to_word(self) -> u32 {
        self.0
    }

    /// Its place, below [`OWNERS_MAX`]; `None` for a number that no correct process can have written.
    #[inline]
    #[must_use]
    pub fn index(self) -> Option<usize> {
        let place = (self.0 & PLACE_MASK) as usize;
        if place <= OWNERS_MAX { place.checked_sub(1) } else { None }
    }

    /// The low bits of its epoch.
    #[inline]
    #[must_use]
    pub fn epoch(self) -> u32 {
        self.0 >> PLACE_BITS
    }

    /// Whether this process is the owner, as far as it knows itself: false in the child of a fork.
    #[inline]
    pub(crate) fn is_me(self) -> bool {
        self.0 == primitive::identity() || self == Self::STRANGER
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index() {
            Some(index) if index < PARTIES_MAX => {
                write!(f, "party {index}, epoch {}", self.epoch())
            }
            Some(_) => f.write_str("no party"),
            None => write!(f, "wild word {:#x}", self.0),
        }
    }
}

/// What a higher floor knows of processes.
pub trait Registry: fmt::Debug + Sync {
    /// Makes this process a party.
    ///
    /// # Errors
    ///
    /// A text that says why that cannot be.
    fn join(&self) -> Result<Owner, String>;

    /// Whether a party will never act again. Never true of a process that lives.
    fn is_dead(&self, owner: Owner) -> bool;

    /// The process id of a party, as long as the table still has it.
    fn pid(&self, owner: Owner) -> Option<u32>;
}

static REGISTRY: OnceLock<&'static dyn Registry> = OnceLock::new();

/// Says who knows the processes; the first call counts.
pub fn install(registry: &'static dyn Registry) {
    crossdock_sys::fork::watch();
    let _ = REGISTRY.set(registry);
}

/// This process has become a party; `None`: it is none any more, and the next lock asks again.
pub fn set(owner: Option<Owner>) {
    primitive::set_identity(owner.map_or(0, Owner::to_word));
}

/// Whether this process knows who it is, so that it can lock without asking first.
pub(crate) fn is_known() -> bool {
    primitive::identity() != 0 || REGISTRY.get().is_none()
}

/// Who this process is.
#[inline]
pub(crate) fn me() -> Owner {
    match primitive::identity() {
        0 => unknown(),
        word => Owner(word),
    }
}

/// # Panics
///
/// When this process must be a party and cannot be one: there is no honest way to hold a lock then.
#[cold]
fn unknown() -> Owner {
    let Some(registry) = REGISTRY.get() else { return Owner::STRANGER };
    match registry.join() {
        Ok(owner) => {
            set(Some(owner));
            owner
        }
        Err(why) => panic!("this process cannot hold a lock in shared memory: {why}"),
    }
}

/// Whether an owner will never act again.
#[cold]
pub(crate) fn is_dead(owner: Owner) -> bool {
    match owner.index() {
        // No correct process can have written this.
        None => true,
        Some(PARTIES_MAX) => owner != Owner::STRANGER,
        Some(_) => primitive::is_dead(owner, REGISTRY.get().copied()),
    }
}

/// The process id of an owner, 0 if nobody knows.
#[cold]
pub(crate) fn pid(owner: Owner) -> u32 {
    if owner.is_me() && (owner != Owner::STRANGER || primitive::identity() == 0) {
        return std::process::id();
    }
    REGISTRY.get().and_then(|registry| registry.pid(owner)).unwrap_or(0)
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use crate::party::Party;

    #[test]
    fn an_owner_is_a_word_of_29_bits_that_is_never_0() {
        for (index, epoch) in [(0, 0), (335, (1 << 48) - 1), (7, 1 << 20)] {
            let id = PartyId { party: Party::new(index).unwrap(), epoch };
            let owner = Owner::of(id);
            assert_eq!(owner.index(), Some(index));
            assert_eq!(u64::from(owner.epoch()), epoch & 0xf_ffff);
            assert!(owner.to_word() != 0 && owner.to_word() <= OWNER_BITS);
            assert_eq!(Owner::from_word(owner.to_word() | !OWNER_BITS), Some(owner));
        }
        assert_eq!(Owner::from_word(!OWNER_BITS), None);
    }

    #[test]
    fn a_wild_word_is_dead_and_a_stranger_never() {
        let wild = Owner::from_word(PLACE_MASK).unwrap();
        assert_eq!(wild.index(), None);
        assert!(is_dead(wild));
        assert_eq!(Owner::STRANGER.index(), Some(PARTIES_MAX));
        assert!(!is_dead(Owner::STRANGER));
    }
}
