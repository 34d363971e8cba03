//! The latest-value cells of `histories`: used for one episode after the other, as the [queues](super::queue) are.
//!
//! A cell is a register: putting a value is a write, getting it is a read, and all answers count. After each
//! round the judge gets the value, which belongs to the history, and puts 0, which does not.

use super::checker::Operation;
use super::object::Call;
use super::queue::{JUDGE, POOL};
use super::table::Episode;
use crate::campaign::Violation;
use crossdock::channel::latest::{Receiver, Sender};
use crossdock::{Array, Error};

/// Slots of the smallest and of the largest cell: as few as there can be, and one more than there are senders.
const CAPACITIES: [usize; 3] = [2, 3, 4];

/// Both ends of a cell.
#[derive(Debug)]
pub(crate) struct Cell {
    sender: Sender<Array<u64>>,
    receiver: Receiver<Array<u64>>,
}

fn name(index: usize) -> String {
    format!("cell-{index}")
}

impl Cell {
    /// Makes all cells.
    pub(crate) fn create_all() -> Result<Vec<Self>, Error> {
        let create = |index: usize| {
            let sender = Sender::create(&name(index), CAPACITIES[index % CAPACITIES.len()])?;
            Ok(Self { sender, receiver: Receiver::open(&name(index))? })
        };
        (0..POOL).map(create).collect()
    }

    /// Opens all cells.
    pub(crate) fn open_all() -> Result<Vec<Self>, Error> {
        let open = |index| {
            let sender = Sender::open(&name(index))?;
            Ok(Self { sender, receiver: Receiver::open(&name(index))? })
        };
        (0..POOL).map(open).collect()
    }

    /// Puts a value; waits for other senders only.
    pub(crate) fn put(&self, value: u64) -> Result<(), Violation> {
        let message = Array::from_slice(&[value])?;
        self.sender.send(message).map_err(|error| Violation(format!("cannot put: {error:?}")))
    }

    /// Gets the value; 0 before any was put.
    pub(crate) fn get(&self) -> Result<u64, Violation> {
        match self.receiver.get()?.as_deref() {
            None => Ok(0),
            Some([value]) => Ok(*value),
            Some(other) => Err(Violation(format!("a message of {other:?}, which nobody has sent"))),
        }
    }
}

/// Gets the value that the workers have left, and puts 0: the judge is alone now.
pub(crate) fn drain(cell: &Cell, episode: &Episode) -> Result<Vec<Operation>, Violation> {
    let from = episode.tick();
    let reply = cell.get()?;
    let to = episode.tick();
    cell.put(0)?;
    Ok(vec![Operation { worker: JUDGE, call: Call::Get, from, to, reply }])
}
