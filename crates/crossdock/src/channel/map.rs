//! A channel's file, mapped.

use super::message::MessageType;
use super::parcel::tickets;
use crate::error::{Error, Result};
use crate::named::read_header;
use crate::namespace::Namespace;
use crate::parties::static_memory;
use crossdock_core::header::{HEADER_BYTES, Header, Kind};
use crossdock_core::layout::{ChannelTable, channel_bytes};
use crossdock_core::memory::ALIGNMENT;
use crossdock_core::party::PartyId;
use crossdock_core::settings::{Mode, Settings};
use crossdock_core::ticket::Ticket;
use crossdock_sys::file;
use crossdock_sys::map::{Access, Mapping};
use std::fs::File;

/// Where a channel says in words what it carries.
pub(super) const TEXT_OFFSET: u64 = HEADER_BYTES as u64;

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

/// The header of a new channel.
pub(super) fn new_header(capacity: usize, settings: Settings, message: &MessageType) -> Header {
    let text_bytes = message.file_text().len() as u64;
    let data_offset = (TEXT_OFFSET + text_bytes).next_multiple_of(ALIGNMENT as u64);
    let mut header = Header::new(Kind::Channel, channel_bytes(capacity, &settings), data_offset);
    header.capacity = capacity as u64;
    header.settings = settings;
    header.dtype = message.dtype;
    header.is_unique = message.is_unique;
    header.type_hash = message.hash();
    header.text_bytes = text_bytes;
    header
}

/// What a user calls a channel of a kind.
pub(super) fn kind_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Queue => "a queue (crossdock::channel)",
        Mode::Broadcast => "a broadcast (crossdock::channel::broadcast)",
        Mode::Latest => "a latest-value cell (crossdock::channel::latest)",
    }
}
