//! What one who waits at a queue may hope for, if nobody puts but those who do not wait.

use super::core::{Core, End};
use crossdock_core::layout::Carrier;
use crossdock_core::ring::{Next, Ring};
use std::sync::atomic::Ordering;

/// What there is to hope for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outlook {
    /// The verb is to be tried again.
    Ready,
    /// Somebody has been there, and nobody is left who could make it so.
    Over,
}

impl Core {
    /// Counts a handle with both ends.
    pub(crate) fn count_user(&self) {
        self.users.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether there has been anybody but one handle: before that, it waits for the others to come.
    fn has_had_company(&self) -> bool {
        let me = self.member.me.party;
        self.users.load(Ordering::Relaxed) > 1
            || [End::Sender, End::Receiver]
                .iter()
                .any(|end| self.members(*end).have_others_come(me))
    }

    /// Whether there is a message, or nobody who might send one; `None` for neither.
    fn look_for_message(&self, ring: &Ring<'_>, has_senders: impl Fn() -> bool) -> Option<Outlook> {
        if self.is_acknowledged() && self.map.table.control.ledger.may_be_returned() {
            return Some(Outlook::Ready);
        }
        // First the senders: the last one may have sent just before it left.
        let is_alone = !has_senders() && !self.may_be_returned() && self.has_had_company();
        match ring.next() {
            Ok(Next::Ready(_)) | Err(_) => Some(Outlook::Ready),
            Ok(Next::Empty) if is_alone => Some(Outlook::Over),
            Ok(Next::Empty | Next::Pending(_)) => None,
        }
    }

    /// What whoever waits at `end` may hope for, who does not count at the other end; `None` if it is to wait on.
    pub(crate) fn outlook(&self, end: End) -> Option<Outlook> {
        let Carrier::Queue(ring, _) = &self.map.table.carrier else { return Some(Outlook::Ready) };
        if self.check_ours().is_err() {
            return Some(Outlook::Ready);
        }
        if end == End::Receiver {
            return self.look_for_message(ring, || !self.members(End::Sender).is_empty());
        }
        let is_alone = self.members(End::Receiver).is_empty() && self.has_had_company();
        match self.has_room(ring) {
            true => Some(Outlook::Ready),
            false => is_alone.then_some(Outlook::Over),
        }
    }

    /// Whether there have been others and nobody is left who might receive, nor anybody who has what he received.
    pub(super) fn is_over_for_putters(&self) -> bool {
        self.members(End::Receiver).is_empty() && !self.may_be_returned() && self.has_had_company()
    }

    /// The same for a receiver who does count as a sender, so often as `mine` says.
    pub(crate) fn outlook_beside(&self, mine: usize) -> Option<Outlook> {
        let Carrier::Queue(ring, _) = &self.map.table.carrier else { return Some(Outlook::Ready) };
        if self.check_ours().is_err() {
            return Some(Outlook::Ready);
        }
        let me = self.member.me.party;
        let has_senders =
            || self.handles(End::Sender) > mine || self.members(End::Sender).has_others(me);
        self.look_for_message(ring, has_senders)
    }
}
