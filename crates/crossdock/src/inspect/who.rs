//! The parties of a directory of names as they were at one look.

use super::{Holder, Life, Process};
use crate::error::Result;
use crate::namespace::Namespace;
use crate::parties::Parties;
use crossdock_core::party::{Party, PartyId, State};
use crossdock_sys::process::{Liveness, ProcessId};
use std::collections::HashMap;

/// Every process that has a row, each asked once whether it lives.
#[derive(Debug)]
pub(super) struct Who {
    processes: HashMap<Party, (u64, Process)>,
}

impl Who {
    pub(super) fn read(namespace: &Namespace) -> Result<Self> {
        let Some(parties) = Parties::open(namespace)? else {
            return Ok(Self { processes: HashMap::new() });
        };
        let here = ProcessId::current().ok().map(|id| id.pid_namespace);
        let process = |(party, epoch, state)| {
            let State::Process(id) = state else { return None };
            let life = match parties.liveness(party, &id) {
                Liveness::Alive => Life::Alive,
                Liveness::Dead => Life::Dead,
                Liveness::Elsewhere | Liveness::Unknown => Life::Unknown,
            };
            let is_elsewhere = here.is_some_and(|here| here != id.pid_namespace);
            Some((party, (epoch, Process { pid: id.pid, life, is_elsewhere })))
        };
        Ok(Self { processes: parties.in_use().filter_map(process).collect() })
    }

    /// The process that has this number now.
    pub(super) fn process(&self, party: Party) -> Option<Process> {
        self.processes.get(&party).map(|(_, process)| *process)
    }

    /// The very process that had this number in this epoch.
    pub(super) fn exactly(&self, id: PartyId) -> Option<Process> {
        let (epoch, process) = self.processes.get(&id.party)?;
        (*epoch == id.epoch).then_some(*process)
    }

    /// Who a holder is that is none of the channels.
    pub(super) fn holder(&self, party: Party) -> Holder {
        self.process(party).map_or(Holder::Unknown, Holder::Process)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parties::PARTIES_NAME;
    use crossdock_sys::file::Directory;

    #[test]
    fn a_process_in_another_pid_namespace_is_said_to_be_elsewhere() {
        let path = format!("/dev/shm/crossdock-who-{}", std::process::id());
        let namespace = Namespace { directory: Directory::open_private(path.as_ref()).unwrap() };
        let lock = namespace.lock().unwrap();
        let parties = Parties::open_or_create(&namespace, &lock).unwrap();
        let here = ProcessId::current().unwrap();
        let elsewhere = ProcessId { pid_namespace: !here.pid_namespace, pid: 7, ..here };
        let (me, _my_token) = parties.first_free_with_token(&lock).unwrap().unwrap();
        let epoch = parties.record(me).take_for_process(&here);
        let (other, token) = parties.first_free_with_token(&lock).unwrap().unwrap();
        parties.record(other).take_for_process(&elsewhere);

        let who = Who::read(&namespace).unwrap();
        let mine = Process { pid: here.pid, life: Life::Alive, is_elsewhere: false };
        assert_eq!(who.process(me), Some(mine));
        assert_eq!(who.exactly(PartyId { party: me, epoch }), Some(mine));
        assert_eq!(who.exactly(PartyId { party: me, epoch: epoch + 1 }), None);
        let there = Process { pid: 7, life: Life::Alive, is_elsewhere: true };
        assert_eq!(who.holder(other), Holder::Process(there));
        drop(token);
        let who = Who::read(&namespace).unwrap();
        assert_eq!(who.process(other), Some(Process { life: Life::Dead, ..there }));
        parties.record(other).free();
        assert_eq!(Who::read(&namespace).unwrap().holder(other), Holder::Unknown);

        assert!(namespace.directory.unlink(PARTIES_NAME).unwrap());
        namespace.directory.remove_if_empty();
    }
}
