//! Named blocks of raw memory.

use super::Play;
use super::traffic::keep;
use crate::library::board::{Actor, Done, wrong};
use crate::library::case::{Case, Order};
use crossdock::{ErrorKind, SharedBlock};

const NAME: &str = "block";
const BYTES: usize = 1000;
const TEXT: &[u8] = b"whole";

pub(super) fn play() -> Play {
    let cases = vec![
        Case::new("create", creates, newcomer).newcomer(),
        Case::new("open", opens, has_block),
        Case::new("drop", drops, has_block).brief(),
        Case::new("drop of the last handle", drops_last, newcomer).newcomer(),
        Case::new("unlink", unlinks, has_block),
        Case::new("open of a dead process's", opens_dead, newcomer)
            .ancestor(Order::Before, dies_as_maker)
            .newcomer(),
    ];
    Play { name: "block", cases }
}

fn creates(a: Actor) -> Done {
    a.begin();
    keep(SharedBlock::create(NAME, BYTES)?)
}

fn opens(a: Actor) -> Done {
    a.begin();
    keep(SharedBlock::open(NAME)?)
}

fn drops(a: Actor) -> Done {
    let block = SharedBlock::open(NAME)?;
    a.begin();
    drop(block);
    Ok(())
}

fn drops_last(a: Actor) -> Done {
    let block = SharedBlock::create(NAME, BYTES)?;
    block.write_at(0, TEXT)?;
    a.begin();
    drop(block);
    Ok(())
}

fn unlinks(a: Actor) -> Done {
    a.begin();
    Ok(SharedBlock::unlink(NAME)?)
}

fn dies_as_maker(_: Actor) -> Done {
    let block = SharedBlock::create(NAME, BYTES)?;
    block.write_at(0, TEXT)?;
    keep(block)
}

/// Its users are dead, so it cannot be opened; but made anew.
fn opens_dead(a: Actor) -> Done {
    a.begin();
    match SharedBlock::open(NAME) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
        Ok(_) => return wrong("the block of a dead process was opened"),
    }
    keep(SharedBlock::create(NAME, BYTES)?)
}

/// Has the block through it all, and makes it anew if its name has gone.
fn has_block(a: Actor) -> Done {
    let block = SharedBlock::create(NAME, BYTES)?;
    block.write_at(0, TEXT)?;
    a.ready();
    a.await_go();
    check(&block, TEXT)?;
    let again = SharedBlock::open_or_create(NAME, BYTES)?;
    a.go_on();
    if again.len() != BYTES {
        return wrong(format_args!("{} bytes, where there should be {BYTES}", again.len()));
    }
    drop(again);
    drop(block);
    has_gone()
}

fn newcomer(a: Actor) -> Done {
    a.await_go();
    let block = SharedBlock::open_or_create(NAME, BYTES)?;
    a.go_on();
    if block.len() != BYTES {
        return wrong(format_args!("{} bytes, where there should be {BYTES}", block.len()));
    }
    // Every process that had it is dead, so this is a new one.
    check(&block, &[0; TEXT.len()])?;
    drop(block);
    has_gone()
}

fn check(block: &SharedBlock, expected: &[u8]) -> Done {
    let mut bytes = [1; TEXT.len()];
    block.read_at(0, &mut bytes)?;
    if bytes == expected { Ok(()) } else { wrong(format_args!("its first bytes are {bytes:?}")) }
}

/// The last handle takes the name with it.
fn has_gone() -> Done {
    match SharedBlock::open(NAME) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => wrong("its last handle has gone, and it has a name"),
    }
}
