//! Named things in serde values: their names travel, and they are opened where they arrive.

use super::open;
use super::seal::{is_collecting, with_collected};
use crate::channel::core::Core;
use crate::channel::{Message, Receiver, Sender, SharedMessage, Waiting, broadcast, latest};
use crate::collections::{SharedList, SharedMap};
use crate::error::{Error, ErrorKind, Result};
use crate::value::{Place, Value};
use crossdock_core::shm_safe::ShmSafe;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// A handle that is kept so that its name lasts.
pub(crate) struct Kept {
    pub(crate) name: String,
    _handle: Box<dyn Any + Send + Sync>,
}

impl Kept {
    pub(crate) fn new(name: &str, handle: impl Any + Send + Sync) -> Self {
        Self { name: name.to_owned(), _handle: Box::new(handle) }
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kept").field(&self.name).finish()
    }
}

/// Writes the name of something, a clone of which is to be kept.
pub(crate) fn serialize<S: Serializer, T: Any + Send + Sync>(
    what: &str,
    name: Option<&str>,
    clone: impl FnOnce() -> T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    // Before anything is borrowed: to make a handle may call what others have installed.
    let clone = (is_collecting() && name.is_some()).then(clone);
    let keep = with_collected(what, |collected| {
        let name = name.ok_or_else(|| {
            let text = format!(
                "{what} without a name cannot be sent: only this process and those that it forks have it (make it with \
                 create and a name)"
            );
            Error::new(ErrorKind::Unsupported, text)
        })?;
        collected.kept.extend(clone.map(|clone| Kept::new(name, clone)));
        Ok(name)
    });
    keep.map_err(S::Error::custom)?.serialize(serializer)
}

/// Opens something by the name that was written.
pub(crate) fn deserialize<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    by_name: impl FnOnce(&str) -> Result<T>,
) -> Result<T, D::Error> {
    let name = String::deserialize(deserializer)?;
    open::by_name(|| by_name(&name)).map_err(D::Error::custom)
}

/// In an argument or result of a task, and in a message of a queue or a pipe: its name travels.
impl<T: ?Sized + ShmSafe + 'static> Serialize for Value<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize("a Value", self.name(), || self.clone(), serializer)
    }
}

impl<'de, T: ?Sized + Place> Deserialize<'de> for Value<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer, Self::open)
    }
}

/// What a channel's end is an end of: enough to keep the name.
fn core(end: &impl Waiting) -> Arc<Core> {
    Arc::clone(end.core())
}

/// In an argument or result of a task, and in a message of a queue or a pipe: its name travels.
impl<K: 'static, V: 'static> Serialize for SharedMap<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize("a SharedMap", self.name(), || self.clone(), serializer)
    }
}

impl<'de, K, V> Deserialize<'de> for SharedMap<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer, Self::open)
    }
}

/// In an argument or result of a task, and in a message of a queue or a pipe: its name travels.
impl<T: 'static> Serialize for SharedList<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize("a SharedList", self.name(), || self.clone(), serializer)
    }
}

impl<'de, T> Deserialize<'de> for SharedList<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer, Self::open)
    }
}

macro_rules! ends {
    ($($text:literal $type:ty, $bound:ident, $keep:expr;)+) => {$(
        /// In an argument or result of a task, and in a message of a queue or a pipe: its name travels, and it is another
        /// handle on the same channel where it arrives. (One that is to get all messages of a broadcast gets those from then on.)
        impl<M: $bound + 'static> Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let keep = || $keep(self);
                serialize($text, Some(self.name()), keep, serializer)
            }
        }

        impl<'de, M: $bound> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserialize(deserializer, Self::open)
            }
        }
    )+};
}

ends! {
    "a Sender" Sender<M>, Message, Sender::clone;
    "a Receiver" Receiver<M>, Message, Receiver::clone;
    "a sender of a broadcast" broadcast::Sender<M>, SharedMessage, broadcast::Sender::clone;
    "a receiver of a broadcast" broadcast::Receiver<M>, SharedMessage, core;
    "a sender of newest values" latest::Sender<M>, SharedMessage, latest::Sender::clone;
    "a receiver of newest values" latest::Receiver<M>, SharedMessage, core;
}
