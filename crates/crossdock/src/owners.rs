//! Who owns the locks: the table of parties as [`crossdock_core::owner`] wants to ask it.

use crate::member::Member;
use crate::trace;
use crossdock_core::owner::{self, Owner, Registry};
use crossdock_core::party::{Party, PartyId, State};

/// The parties of this process's directory of names.
#[derive(Debug)]
struct Owners;

/// From now on, a lock that this process takes makes it a party.
pub(crate) fn install() {
    owner::install(&Owners);
}

impl Registry for Owners {
    fn join(&self) -> Result<Owner, String> {
        match Member::current() {
            Ok(member) => Ok(Owner::of(member.me)),
            Err(error) => Err(error.to_string()),
        }
    }

    fn is_dead(&self, owner: Owner) -> bool {
        // Who is no party cannot look anybody up, and whoever it is may live.
        let (Some(party), Ok(member)) = (party(owner), Member::current()) else { return false };
        let (epoch, state) = member.state_of(party);
        let is_same = Owner::of(PartyId { party, epoch }) == owner;
        let is_dead = match state {
            // Its number was given up or given to somebody else: that is done for the dead only, and for
            // those that have left.
            State::Free | State::Channel { .. } => true,
            State::Process(_) => !is_same || member.is_dead(party),
        };
        if is_dead {
            trace::lock_owner_died(party.index());
        }
        is_dead
    }

    fn pid(&self, owner: Owner) -> Option<u32> {
        let party = party(owner)?;
        // For people: nothing is joined for it.
        let (epoch, state) = Member::known().filter(|member| member.is_ours())?.state_of(party);
        match state {
            State::Process(id) if Owner::of(PartyId { party, epoch }) == owner => Some(id.pid),
            _ => None,
        }
    }
}

fn party(owner: Owner) -> Option<Party> {
    owner.index().and_then(Party::new)
}
