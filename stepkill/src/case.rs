//! What a primitive has to be able to do: its situations, as data.

use crate::stage::{Stage, Verdict};

/// What the house does as soon as the victim sleeps, or is dead: to give back what it holds, mostly.
pub(crate) type Later = Option<Box<dyn FnOnce()>>;

/// A primitive, around an object of type `T`.
pub(crate) struct Play<T: 'static> {
    pub(crate) name: &'static str,
    /// The object as it is when a trial begins.
    pub(crate) object: fn() -> T,
    /// Bytes of it that are the primitive and its data; then comes what the trials keep books in.
    pub(crate) bytes: usize,
    pub(crate) cases: Vec<Case<T>>,
}

impl<T> Play<T> {
    /// Words of the object that are the primitive and its data.
    pub(crate) fn words(&self) -> usize {
        self.bytes.div_ceil(8)
    }
}

/// One situation in which a process dies.
pub(crate) struct Case<T: 'static> {
    pub(crate) name: &'static str,
    /// What the victim does, and dies of.
    pub(crate) act: fn(Stage<T>),
    /// What those who live do then; each alone. It says whether all is in order.
    pub(crate) survivors: &'static [Survivor<T>],
    /// What the house does before.
    pub(crate) before: fn(Stage<T>) -> Later,
    /// What the house does after the death, if it is up to it: what the dead may not have come to.
    pub(crate) after: Option<fn(Stage<T>)>,
    /// The house does its part as soon as the victim sleeps, not only when it is dead.
    pub(crate) gives_way: bool,
    /// S2: the victim pauses when it has what the survivor then sleeps for.
    pub(crate) has_sleeper: bool,
    /// S3: the victim sleeps, the survivor behind it; then the house wakes one.
    pub(crate) has_queue: bool,
    /// S5: what a second process does at the same time. Nobody dies.
    pub(crate) rival: Option<fn(Stage<T>)>,
}

/// A way to go on after a death.
pub(crate) struct Survivor<T: 'static> {
    pub(crate) name: &'static str,
    pub(crate) act: fn(Stage<T>) -> Verdict,
    /// It sleeps until it has what it needs.
    pub(crate) sleeps: bool,
    /// S4: it takes a way of its own, and dies on it.
    pub(crate) recovers: bool,
}

impl<T> Survivor<T> {
    pub(crate) const fn waits(name: &'static str, act: fn(Stage<T>) -> Verdict) -> Self {
        Self { name, act, sleeps: true, recovers: true }
    }

    pub(crate) const fn tries(name: &'static str, act: fn(Stage<T>) -> Verdict) -> Self {
        Self { name, act, sleeps: false, recovers: true }
    }
}

impl<T> Survivor<T> {
    /// The way is that of another one but for a deadline.
    pub(crate) const fn alike(self) -> Self {
        Self { recovers: false, ..self }
    }
}

impl<T> Case<T> {
    pub(crate) fn new(
        name: &'static str,
        act: fn(Stage<T>),
        survivors: &'static [Survivor<T>],
    ) -> Self {
        Self {
            name,
            act,
            survivors,
            before: |_| None,
            after: None,
            gives_way: true,
            has_sleeper: false,
            has_queue: false,
            rival: None,
        }
    }

    pub(crate) fn before(self, before: fn(Stage<T>) -> Later) -> Self {
        Self { before, ..self }
    }

    /// The victim sleeps in vain.
    pub(crate) fn in_vain(self) -> Self {
        Self { gives_way: false, ..self }
    }

    pub(crate) fn after(self, after: fn(Stage<T>)) -> Self {
        Self { after: Some(after), ..self }
    }

    pub(crate) fn with_sleeper(self) -> Self {
        Self { has_sleeper: true, ..self }
    }

    pub(crate) fn with_queue(self) -> Self {
        Self { has_queue: true, ..self }
    }

    pub(crate) fn against(self, rival: fn(Stage<T>)) -> Self {
        Self { rival: Some(rival), ..self }
    }
}
