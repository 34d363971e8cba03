//! A channel's file, mapped.

use super::parcel::tickets;
use crate::error::{Error, Result};
use crate::named::read_header;
use crate::namespace::Namespace;
use crate::parties::static_memory;
use crossdock_core::header::{Header, Kind};
use crossdock_core::layout::ChannelTable;
use crossdock_core::party::PartyId;
use crossdock_core::ticket::Ticket;
use crossdock_sys::file;
use crossdock_sys::map::{Access, Mapping};
use std::fs::File;

/// A mapped channel.
///
/// # Invariants
///
/// 1. `table` lies inside `_map`, which is never changed while `self` lives.
#[derive(Debug)]
pub(crate) struct ChannelMap {
    pub(crate) header: Header,
    pub(crate) table: ChannelTable<'static>,
    party: PartyId,
    _map: Mapping,
}

impl ChannelMap {
    /// Maps a channel to look into it, without becoming one of its users.
    pub(crate) fn open(namespace: &Namespace, name: &str) -> Result<Self> {
        let file = file::open(&namespace.directory, name, true)
            .map_err(|error| Error::os(format_args!("cannot open {name:?}"), error))?;
        let header = read_header(&file, name)?;
        Self::new(&file, header, name)
    }

    /// Maps a channel whose header has been read from this very file.
    pub(crate) fn new(file: &File, header: Header, name: &str) -> Result<Self> {
        if header.kind != Kind::Channel {
            return Err(crate::block::wrong_kind(name, header.kind, "channel"));
        }
        let damaged = |why| Error::corrupt(format_args!("channel {name:?}"), why).named(name);
        let party = PartyId::from_word(header.party)
            .ok_or_else(|| Error::corrupt(format_args!("channel {name:?}"), "its party"))?;
        // `read_header` has checked that the file has these bytes.
        let bytes = (header.data_offset + header.len) as usize;
        let map = Mapping::new(file, bytes, Access::ReadWrite)
            .map_err(|error| Error::os(format_args!("cannot map channel {name:?}"), error))?;
        let memory = static_memory(&map, bytes)?;
        let (offset, capacity) = (header.data_offset as usize, header.capacity as usize);
        let table =
            ChannelTable::new(memory, offset, capacity, &header.settings).map_err(damaged)?;
        Ok(Self { header, table, party, _map: map })
    }

    /// Whether the channel has, or is about to have, or may have a ticket that `is_wanted` recognises.
    pub(crate) fn has_ticket(&self, mut is_wanted: impl FnMut(&Ticket) -> bool) -> bool {
        self.table.any(|words| tickets(words, &self.header.settings).iter().any(&mut is_wanted))
    }

    /// The channel's own party.
    pub(crate) fn party(&self) -> PartyId {
        self.party
    }
}
