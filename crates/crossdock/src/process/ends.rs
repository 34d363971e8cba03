//! What a handle counts as that can both put and get.

use crate::channel::core::Core;
use crate::channel::{Receiver, Sender, Waiting};
use crate::letter::Typed;
use parking_lot::Mutex;
use std::sync::Arc;

/// Both ends of a queue. A handle may put and get; but one that waits to get, and has never put, is not who others wait for to
/// put, and the reverse. Else whoever waits would wait for itself.
pub(super) struct Ends<T> {
    core: Arc<Core>,
    roles: Mutex<Roles<T>>,
}

struct Roles<T> {
    /// Unless it has waited to get and never put.
    sender: Option<Arc<Sender<Typed<T>>>>,
    /// Unless it has waited to put and never got.
    receiver: Option<Arc<Receiver<Typed<T>>>>,
    has_put: bool,
    has_got: bool,
}

impl<T> Ends<T> {
    pub(super) fn new(sender: Sender<Typed<T>>) -> Self {
        let core = Arc::clone(sender.core());
        let receiver = Some(Arc::new(Receiver::new(Arc::clone(&core))));
        let sender = Some(Arc::new(sender));
        let roles = Mutex::new(Roles { sender, receiver, has_put: false, has_got: false });
        Self { core, roles }
    }

    pub(super) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// The end to put into.
    pub(super) fn sender(&self) -> Arc<Sender<Typed<T>>> {
        let mut roles = self.roles.lock();
        roles.has_put = true;
        let new = || Arc::new(Sender::new(Arc::clone(&self.core)));
        Arc::clone(roles.sender.get_or_insert_with(new))
    }

    /// It is about to wait for room.
    pub(super) fn wait_to_put(&self) {
        let mut roles = self.roles.lock();
        if !roles.has_got {
            roles.receiver = None;
        }
    }

    /// The end to get from.
    pub(super) fn receiver(&self) -> Arc<Receiver<Typed<T>>> {
        let mut roles = self.roles.lock();
        roles.has_got = true;
        let new = || Arc::new(Receiver::new(Arc::clone(&self.core)));
        Arc::clone(roles.receiver.get_or_insert_with(new))
    }

    /// It is about to wait for a value.
    pub(super) fn wait_to_get(&self) {
        let mut roles = self.roles.lock();
        if !roles.has_put {
            roles.sender = None;
        }
    }
}

/// Another handle, which has neither put nor got.
impl<T> Clone for Ends<T> {
    fn clone(&self) -> Self {
        Self::new(Sender::new(Arc::clone(&self.core)))
    }
}
