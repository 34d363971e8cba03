//! The objects as one process alone would see them: what each call may answer, in each state.
//!
//! This is the specification that histories are held against. A state is 64 bits:
//!
//! | object | state |
//! |---|---|
//! | FIFO | four lanes of 16 bits, the oldest item in the lowest, 0 for none |
//! | queue | three such lanes, and above them how many of them may be used |
//! | pair | the number that both halves have |
//! | permits | a byte for each permit, 1 + the worker that holds it, 0 for free |
//! | event, once | 1 for set or done |
//! | cell | the value, 0 for none |

/// Permits of the semaphore.
pub(crate) const PERMITS: usize = 2;
/// Items that the FIFO holds at most.
pub(crate) const CAPACITY: usize = 4;
/// Messages that the largest queue holds at most.
pub(crate) const QUEUE_CAPACITY_MAX: usize = 3;

const LANE_BITS: u32 = 16;
const LANE: u64 = (1 << LANE_BITS) - 1;
/// Where the state of a queue says what its capacity is.
const QUEUE_CAPACITY_SHIFT: u32 = QUEUE_CAPACITY_MAX as u32 * LANE_BITS;

/// What the workers use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Object {
    /// A bounded queue under a `Mutex`.
    Fifo,
    /// Two numbers under a `RwLock`, which are equal whenever nobody writes.
    Pair,
    /// A `Semaphore`.
    Permits,
    /// An `Event`.
    Event,
    /// A `Once`.
    Once,
    /// A channel: a work queue of small arrays.
    Queue,
    /// A latest-value cell of small arrays.
    Cell,
}

/// Those that live in an episode come first.
pub(crate) const OBJECTS: [Object; 7] = [
    Object::Fifo,
    Object::Pair,
    Object::Permits,
    Object::Event,
    Object::Once,
    Object::Queue,
    Object::Cell,
];
/// Objects that live in an episode; the others have a name, and there are few.
pub(crate) const NAMELESS: usize = 5;

/// What a worker asks of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// Answers whether there was room. The item is not 0.
    Push(u32),
    /// Answers the item, 0 for none.
    Pop,
    Write(u32),
    /// Answers both halves, the left one in the low bits.
    Read,
    /// Answers the number before.
    Add(u32),
    /// Answers 1 + the number of the permit, 0 for none.
    Acquire,
    Release(u32),
    /// A permit of a worker that was killed comes back.
    Abandon,
    Set,
    Clear,
    /// Answers whether it is set.
    IsSet,
    /// Answers whether it was this call that ran the closure.
    Run,
    /// Answers whether it is done.
    IsDone,
    /// Answers whether there was room. The item is not 0.
    Send(u32),
    /// Answers the item, 0 for none.
    Receive,
    /// The value is not 0.
    Put(u32),
    /// Answers the value, 0 for none.
    Get,
}

/// The calls that a worker can write down, without their arguments, in the order of their codes.
const CALLS: [Call; 16] = [
    Call::Push(0),
    Call::Pop,
    Call::Write(0),
    Call::Read,
    Call::Add(0),
    Call::Acquire,
    Call::Release(0),
    Call::Set,
    Call::Clear,
    Call::IsSet,
    Call::Run,
    Call::IsDone,
    Call::Send(0),
    Call::Receive,
    Call::Put(0),
    Call::Get,
];

impl Call {
    fn with(self, argument: u32) -> Self {
        match self {
            Self::Push(_) => Self::Push(argument),
            Self::Write(_) => Self::Write(argument),
            Self::Add(_) => Self::Add(argument),
            Self::Release(_) => Self::Release(argument),
            Self::Send(_) => Self::Send(argument),
            Self::Put(_) => Self::Put(argument),
            other => other,
        }
    }

    fn argument(self) -> u32 {
        match self {
            Self::Push(value)
            | Self::Write(value)
            | Self::Add(value)
            | Self::Release(value)
            | Self::Send(value)
            | Self::Put(value) => value,
            _ => 0,
        }
    }

    /// The call as a number to write down.
    pub(crate) fn to_word(self) -> u64 {
        let code = CALLS.iter().position(|call| *call == self.with(0)).unwrap_or(CALLS.len());
        code as u64 | u64::from(self.argument()) << 32
    }

    pub(crate) fn from_word(word: u64) -> Option<Self> {
        Some(CALLS.get((word & u64::from(u32::MAX)) as usize)?.with((word >> 32) as u32))
    }

    /// The call and its answer for people; no answer if the worker was killed before it had one.
    pub(crate) fn to_text(self, reply: Option<u64>) -> String {
        let name = format!("{self:?}").to_lowercase();
        let call = match (self, name.split_once('(')) {
            (Self::IsSet, _) => "is_set()".to_owned(),
            (Self::IsDone, _) => "is_done()".to_owned(),
            (_, Some((name, _))) => format!("{name}({})", self.argument()),
            (_, None) => format!("{name}()"),
        };
        let Some(reply) = reply else { return format!("{call} -> killed") };
        let answer = match self {
            Self::Push(_) | Self::IsSet | Self::Run | Self::IsDone | Self::Send(_) => {
                (reply != 0).to_string()
            }
            Self::Pop | Self::Receive | Self::Get if reply == 0 => "none".to_owned(),
            Self::Acquire => reply.checked_sub(1).map_or("none".to_owned(), |it| it.to_string()),
            Self::Read => format!("({}, {})", reply as u32, reply >> 32),
            Self::Pop | Self::Receive | Self::Get | Self::Add(_) => reply.to_string(),
            _ => return call,
        };
        format!("{call} -> {answer}")
    }
}

/// A state after a call, and the answer.
pub(crate) type Outcome = (u64, u64);

/// What a call may come to: nothing if it cannot happen in this state, several if the object may choose.
pub(crate) type Outcomes = [Option<Outcome>; PERMITS];

/// What may happen when `worker` makes a call in a state.
pub(crate) fn outcomes(state: u64, worker: usize, call: Call) -> Outcomes {
    let is_full = state >> (LANE_BITS * (CAPACITY as u32 - 1)) != 0;
    let one = match call {
        Call::Push(_) if is_full => (state, 0),
        Call::Push(item) => (state | u64::from(item) << (LANE_BITS * lanes_used(state)), 1),
        Call::Pop => (state >> LANE_BITS, state & LANE),
        Call::Write(value) | Call::Put(value) => (u64::from(value), 0),
        Call::Read => (state, state | state << 32),
        Call::Add(value) => (u64::from((state as u32).wrapping_add(value)), state),
        Call::Acquire => {
            let taken = permits(state, 0, worker as u64 + 1);
            let is_none = taken.iter().all(Option::is_none);
            return if is_none { [Some((state, 0)), None] } else { taken };
        }
        Call::Release(index) if holder(state, index as usize) == worker as u64 + 1 => {
            (state & !(0xff << (8 * index)), 0)
        }
        Call::Release(_) => return [None; PERMITS],
        Call::Abandon => {
            return permits(state, worker as u64 + 1, 0).map(|freed| Some((freed?.0, 0)));
        }
        Call::Set => (1, 0),
        Call::Clear => (0, 0),
        Call::IsSet | Call::IsDone | Call::Get => (state, state),
        Call::Run => (1, 1 - state),
        Call::Send(item) => {
            let used = lanes_used(messages(state));
            let is_full = u64::from(used) == state >> QUEUE_CAPACITY_SHIFT;
            let added = u64::from(item) << (LANE_BITS * used);
            if is_full { (state, 0) } else { (state | added, 1) }
        }
        Call::Receive => {
            let waiting = messages(state);
            (state - waiting + (waiting >> LANE_BITS), waiting & LANE)
        }
    };
    [Some(one), None]
}

/// The state of a queue that has room for `capacity` messages and no message.
pub(crate) fn empty_queue(capacity: usize) -> u64 {
    (capacity as u64) << QUEUE_CAPACITY_SHIFT
}

/// The lanes of a queue.
fn messages(state: u64) -> u64 {
    state & ((1 << QUEUE_CAPACITY_SHIFT) - 1)
}

fn lanes_used(lanes: u64) -> u32 {
    (u64::BITS - lanes.leading_zeros()).div_ceil(LANE_BITS)
}

fn holder(state: u64, index: usize) -> u64 {
    if index < PERMITS { state >> (8 * index) & 0xff } else { u64::MAX }
}

/// For each permit that `from` has, the state in which `to` has it, and 1 + its number.
fn permits(state: u64, from: u64, to: u64) -> Outcomes {
    std::array::from_fn(|index| {
        let changed = state & !(0xff << (8 * index)) | to << (8 * index);
        (holder(state, index) == from).then_some((changed, index as u64 + 1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes calls of worker 1 that have one outcome each; the answers.
    fn replies(calls: &[Call]) -> Vec<u64> {
        replies_from(0, calls)
    }

    fn replies_from(mut state: u64, calls: &[Call]) -> Vec<u64> {
        let mut step = |call: &Call| {
            let (next, reply) = outcomes(state, 1, *call)[0].expect("the call can happen");
            state = next;
            reply
        };
        calls.iter().map(&mut step).collect()
    }

    #[test]
    fn a_fifo_gives_the_oldest_and_refuses_the_fifth() {
        use Call::{Pop, Push};
        let calls = [Pop, Push(7), Push(8), Push(9), Push(10), Push(11), Pop, Push(12), Pop];
        assert_eq!(replies(&calls), [0, 1, 1, 1, 1, 0, 7, 1, 8]);
    }

    #[test]
    fn a_queue_gives_the_oldest_and_refuses_what_is_beyond_its_capacity() {
        use Call::{Receive, Send};
        let calls = [Receive, Send(7), Send(8), Send(9), Send(10), Receive, Send(11), Receive];
        assert_eq!(replies_from(empty_queue(1), &calls), [0, 1, 0, 0, 0, 7, 1, 11]);
        assert_eq!(replies_from(empty_queue(2), &calls), [0, 1, 1, 0, 0, 7, 1, 8]);
        assert_eq!(replies_from(empty_queue(3), &calls), [0, 1, 1, 1, 0, 7, 1, 8]);
    }

    #[test]
    fn a_pair_answers_twice_what_was_written() {
        let calls = [Call::Write(5), Call::Add(3), Call::Read];
        assert_eq!(replies(&calls), [0, 5, 8 | 8 << 32]);
    }

    #[test]
    fn a_cell_answers_what_was_put_last() {
        use Call::{Get, Put};
        assert_eq!(replies(&[Get, Put(5), Put(6), Get, Get, Put(7), Get]), [0, 0, 0, 6, 6, 0, 7]);
    }

    #[test]
    fn any_free_permit_may_be_taken_and_only_its_holder_gives_it_back() {
        let both = outcomes(0, 1, Call::Acquire);
        assert_eq!(both, [Some((2, 1)), Some((2 << 8, 2))]);
        assert_eq!(outcomes(2 | 1 << 8, 0, Call::Acquire), [Some((2 | 1 << 8, 0)), None]);
        assert_eq!(outcomes(2, 0, Call::Release(0)), [None, None]);
        assert_eq!(outcomes(2, 1, Call::Release(0)), [Some((0, 0)), None]);
        assert_eq!(outcomes(2, 1, Call::Release(9)), [None, None]);
        assert_eq!(outcomes(2 << 8, 1, Call::Abandon), [None, Some((0, 0))]);
    }

    #[test]
    fn a_call_survives_being_written_down() {
        for call in CALLS {
            let call = call.with(77);
            assert_eq!(Call::from_word(call.to_word()), Some(call));
        }
        assert_eq!(Call::from_word(99), None);
        assert_eq!(Call::from_word(Call::Abandon.to_word()), None);
    }

    #[test]
    fn a_call_reads_like_a_call() {
        assert_eq!(Call::Push(4).to_text(Some(0)), "push(4) -> false");
        assert_eq!(Call::Read.to_text(Some(1 | 2 << 32)), "read() -> (1, 2)");
        assert_eq!(Call::Acquire.to_text(Some(2)), "acquire() -> 1");
        assert_eq!(Call::IsSet.to_text(Some(1)), "is_set() -> true");
        assert_eq!(Call::Clear.to_text(Some(0)), "clear()");
        assert_eq!(Call::Pop.to_text(None), "pop() -> killed");
    }
}
