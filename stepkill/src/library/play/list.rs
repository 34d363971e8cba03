//! Lists: what the dead were doing has happened or has not, nothing else has changed, and no memory is lost.

use super::Play;
use super::traffic::keep;
use crate::library::board::{Actor, Done, Wrong, wrong};
use crate::library::case::Case;
use crossdock::SharedList;

const NAME: &str = "list";
/// What the victim says of what it does, and whoever recovers of what he does.
const OF_VICTIM: usize = 1;
const OF_RECOVERER: usize = 2;
/// The item of whoever recovers.
const RECOVERERS: u8 = 100;
/// Bytes of the record of each item.
const RECORD_BYTES: u64 = 48;

/// It takes one size of block, whatever it is.
type Data = [u8; 28];
type List = SharedList<Data>;

pub(super) fn play() -> Play {
    let cases = vec![
        case::<PUSH>("push").brief().recoverer(recovers),
        case::<FIRST>("push, the first one: an array and memory"),
        case::<GROW>("push, the array grows").recoverer(recovers),
        case::<POP>("pop").brief().recoverer(recovers),
        case::<SET>("set").recoverer(recovers),
        case::<UPDATE>("update"),
        case::<EXTEND>("extend by three").recoverer(recovers),
        case::<INSERT>("insert in the middle").recoverer(recovers),
        case::<REMOVE>("remove from the middle").recoverer(recovers),
        case::<CLEAR>("clear"),
        case::<GET>("get"),
    ];
    Play { name: "list", cases }
}

const PUSH: u8 = 0;
const FIRST: u8 = 1;
const GROW: u8 = 2;
const POP: u8 = 3;
const SET: u8 = 4;
const UPDATE: u8 = 5;
const EXTEND: u8 = 6;
const INSERT: u8 = 7;
const REMOVE: u8 = 8;
const CLEAR: u8 = 9;
const GET: u8 = 10;

fn case<const WHAT: u8>(name: &'static str) -> Case {
    Case::new(name, dies::<WHAT>, lives::<WHAT>)
}

fn data(number: u8) -> Data {
    [number; 28]
}

/// What is in the list when the victim begins.
fn before(what: u8) -> Vec<Data> {
    let count = match what {
        FIRST => 0,
        // An array of four, which is full.
        GROW => 4,
        _ => 5,
    };
    (1..=count).map(data).collect()
}

/// What it does to the list.
fn act(what: u8, list: &List) -> Done {
    match what {
        POP => drop(list.pop()?),
        SET => list.set(2, &data(50))?,
        UPDATE => drop(list.update(2, |old| data(old[0] + 50))?),
        EXTEND => list.extend([data(60), data(61), data(62)])?,
        INSERT => list.insert(2, &data(70))?,
        REMOVE => drop(list.remove(2)?),
        CLEAR => list.clear()?,
        GET => drop(list.get(2)?),
        _ => list.push(&data(90))?,
    }
    Ok(())
}

/// What is in the list when it is done.
fn after(what: u8) -> Vec<Data> {
    let mut items = before(what);
    match what {
        POP => drop(items.pop()),
        SET => items[2] = data(50),
        UPDATE => items[2] = data(53),
        EXTEND => items.extend([data(60), data(61), data(62)]),
        INSERT => items.insert(2, data(70)),
        REMOVE => drop(items.remove(2)),
        CLEAR => items.clear(),
        GET => {}
        _ => items.push(data(90)),
    }
    items
}

fn all(list: &List) -> Result<Vec<Data>, Wrong> {
    Ok(list.iter()?.collect::<Result<_, _>>()?)
}

// Who dies.

fn dies<const WHAT: u8>(a: Actor) -> Done {
    let list = List::open(NAME)?;
    a.sending(OF_VICTIM);
    a.begin();
    act(WHAT, &list)?;
    a.sent(OF_VICTIM);
    keep(list)
}

/// Comes after the victim, looks at the list, and adds to it.
fn recovers(a: Actor) -> Done {
    let list = List::open(NAME)?;
    a.sending(OF_RECOVERER);
    a.await_go();
    list.len()?;
    list.push(&data(RECOVERERS))?;
    a.sent(OF_RECOVERER);
    keep(list)
}

// The house.

fn lives<const WHAT: u8>(a: Actor) -> Done {
    let list = List::create(NAME)?;
    for item in before(WHAT) {
        list.push(&item)?;
    }
    a.ready();
    a.await_go();
    let mut found = all(&list)?;
    a.go_on();
    let is_said = |id: usize| a.sends(id..id + 1).contains(&(id, true));
    if found.last() == Some(&data(RECOVERERS)) {
        found.pop();
    } else if is_said(OF_RECOVERER) {
        return wrong("what the second one to die had added is lost");
    }
    if found != after(WHAT) && (is_said(OF_VICTIM) || found != before(WHAT)) {
        let items: Vec<_> = found.iter().map(|item| item[0]).collect();
        return wrong(format_args!("the list is {items:?}"));
    }
    goes_on(&list)
}

/// Uses the list, and looks whether its memory is all there.
fn goes_on(list: &List) -> Done {
    let before = all(list)?;
    check_memory(list, before.len())?;
    for round in 0..3 {
        for number in 0..9 {
            list.push(&data(number + round))?;
        }
        check_memory(list, before.len() + 9)?;
        for number in (0..9).rev() {
            if list.pop()? != Some(data(number + round)) {
                return wrong("what was added is not there");
            }
        }
    }
    check_memory(list, before.len())?;
    if all(list)? != before {
        return wrong("the list has changed by itself");
    }
    list.clear()?;
    list.push(&data(1))?;
    check_memory(list, 1)
}

/// As much is in use as so many items and their array take.
fn check_memory(list: &List, items: usize) -> Done {
    let stats = list.stats()?;
    // Its sizes are those of blocks.
    let array = match stats.capacity {
        0 => 0,
        slots => (16 + 8 * slots as u64).next_multiple_of(16),
    };
    let wanted = array + items as u64 * RECORD_BYTES;
    let most = wanted + array / 4;
    if stats.len == items && (wanted..=most).contains(&stats.used_bytes) {
        return Ok(());
    }
    wrong(format_args!("{stats:?}, where {items} items take {wanted} bytes"))
}
