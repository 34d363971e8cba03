//! A situation in which a process dies, as data: who is there, and what each of them does.

use super::board::{Actor, Done};
use crate::trial::Scenario;

/// Whether the house sleeps in the library when the victim dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sleeper {
    No,
    /// It has slept since before the victim began.
    Before,
    /// It fell asleep behind the victim.
    Behind,
}

/// Whether somebody dies before the victim, which then recovers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// No: it does what the victim waits for.
    Lives,
    /// Before the victim prepares itself.
    Before,
    /// It prepares itself before the victim does, and dies after that.
    Later,
}

/// One situation in which a process dies.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Who has to go on, and then looks whether all is in order.
    pub(crate) house: fn(Actor) -> Done,
    /// Who dies, from its `begin` on.
    pub(crate) victim: fn(Actor) -> Done,
    /// Somebody else: who does what the victim waits for, or who died before.
    pub(crate) other: Option<fn(Actor) -> Done>,
    /// If and when that one dies.
    pub(crate) order: Order,
    /// Who comes after the victim and dies as well, from its `await_go` on.
    pub(crate) recoverer: Option<fn(Actor) -> Done>,
    /// Who comes when all who are to die are dead, and stays.
    pub(crate) bystander: Option<fn(Actor) -> Done>,
    pub(crate) sleeper: Sleeper,
    /// The house comes only then as well.
    pub(crate) is_newcomer: bool,
    /// It is soon over: the short form has it, too.
    pub(crate) is_brief: bool,
}

impl Case {
    pub(crate) fn new(
        name: &'static str,
        victim: fn(Actor) -> Done,
        house: fn(Actor) -> Done,
    ) -> Self {
        Self {
            name,
            house,
            victim,
            other: None,
            order: Order::Lives,
            recoverer: None,
            bystander: None,
            sleeper: Sleeper::No,
            is_newcomer: false,
            is_brief: false,
        }
    }

    pub(crate) fn brief(self) -> Self {
        Self { is_brief: true, ..self }
    }

    pub(crate) fn ancestor(self, order: Order, ancestor: fn(Actor) -> Done) -> Self {
        Self { other: Some(ancestor), order, ..self }
    }

    /// Which scenario it belongs to, but for those in which a `recoverer` dies.
    pub(crate) fn scenario(&self) -> Scenario {
        match self.sleeper {
            _ if self.order != Order::Lives => Scenario::S4,
            Sleeper::No => Scenario::S1,
            Sleeper::Before => Scenario::S2,
            Sleeper::Behind => Scenario::S3,
        }
    }

    pub(crate) fn other(self, other: fn(Actor) -> Done) -> Self {
        Self { other: Some(other), ..self }
    }

    pub(crate) fn recoverer(self, recoverer: fn(Actor) -> Done) -> Self {
        Self { recoverer: Some(recoverer), ..self }
    }

    pub(crate) fn bystander(self, bystander: fn(Actor) -> Done) -> Self {
        Self { bystander: Some(bystander), ..self }
    }

    pub(crate) fn sleeper(self, sleeper: Sleeper) -> Self {
        Self { sleeper, ..self }
    }

    pub(crate) fn newcomer(self) -> Self {
        Self { is_newcomer: true, ..self }
    }
}
