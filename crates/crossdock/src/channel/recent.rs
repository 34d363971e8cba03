//! The region of a channel's last message, so that the next one from there need not look it up.

use crate::arena::map::Region;
use crossdock_core::party::PartyId;
use parking_lot::Mutex;
use std::sync::Arc;

/// A memory of one region. Who finds it busy looks the region up instead.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<Option<Arc<Region>>>);

impl Recent {
    /// The region, if it is the one remembered.
    #[inline]
    pub(super) fn region(&self, arena: PartyId, number: u32) -> Option<Arc<Region>> {
        let recent = self.0.try_lock()?;
        let region = recent.as_ref()?;
        (region.number == number && region.map.id == arena).then(|| Arc::clone(region))
    }

    /// Remembers a region.
    #[cold]
    pub(super) fn remember(&self, region: &Arc<Region>) {
        if let Some(mut recent) = self.0.try_lock() {
            *recent = Some(Arc::clone(region));
        }
    }
}
