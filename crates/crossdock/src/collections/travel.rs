//! Maps and lists in serde values: their names travel, and they are opened where they arrive.

use super::{SharedList, SharedMap};
use crate::letter::{deserialize, serialize};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

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
