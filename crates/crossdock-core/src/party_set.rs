//! A set of parties, as the words of a chunk have it.

use crate::chunk::{HOLDER_WORDS, place};
use crate::party::Party;

/// Some parties, in this process's own memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartySet([u64; HOLDER_WORDS]);

impl PartySet {
    /// Adds a party.
    pub fn insert(&mut self, party: Party) {
        let (word, bit) = place(party);
        self.0[word] |= bit;
    }

    /// Whether a party is among them.
    #[inline]
    #[must_use]
    pub fn contains(&self, party: Party) -> bool {
        let (word, bit) = place(party);
        self.0[word] & bit != 0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// All of them, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = Party> {
        Party::all().filter(|party| self.contains(*party))
    }

    /// The bits that they have in each of the words of a chunk.
    pub(crate) fn words(&self) -> &[u64; HOLDER_WORDS] {
        &self.0
    }
}

impl FromIterator<Party> for PartySet {
    fn from_iter<I: IntoIterator<Item = Party>>(parties: I) -> Self {
        let mut set = Self::default();
        parties.into_iter().for_each(|party| set.insert(party));
        set
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use crate::party::PARTIES_MAX;

    #[test]
    fn each_party_is_in_or_out_by_itself() {
        let some = |party: &Party| party.index().is_multiple_of(47);
        let set: PartySet = Party::all().filter(some).collect();
        assert!(set.iter().eq(Party::all().filter(some)));
        assert!(Party::all().all(|party| set.contains(party) == some(&party)));
        assert!(PartySet::default().is_empty() && !set.is_empty());
        assert_eq!(Party::all().collect::<PartySet>().iter().count(), PARTIES_MAX);
    }
}
