//! Bugs to seed into a copy of the library: a campaign that finds nothing proves something only if it finds
//! these.

mod library;

use std::path::Path;
use std::{fs, io};

/// A bug, and who should find it.
pub(crate) struct Mutant {
    pub(crate) name: &'static str,
    /// The file, below `crates`.
    file: &'static str,
    /// Stands there exactly once...
    original: &'static str,
    /// ...and is replaced by this.
    bug: &'static str,
    /// "locks" or "library".
    pub(crate) part: &'static str,
    pub(crate) primitive: &'static str,
    pub(crate) scenarios: &'static str,
    /// Only situations whose name has this in it.
    pub(crate) situation: &'static str,
}

/// All of them; the first ones are tried in the short form as well.
pub(crate) fn all() -> impl Iterator<Item = &'static Mutant> {
    LOCKS.iter().chain(&library::MUTANTS)
}

/// Bugs of the locks.
const LOCKS: [Mutant; 12] = [
    Mutant {
        name: "sleeps have no end",
        file: "crossdock-core/src/sync/slice.rs",
        original: "wait(word, expected, self.until());",
        bug: "wait(word, expected, self.deadline.unwrap_or(Deadline::after(std::time::Duration::MAX)));",
        part: "locks",
        primitive: "mutex",
        scenarios: "S2",
        situation: "",
    },
    Mutant {
        name: "a half-made change is not reported",
        file: "crossdock-core/src/sync/word.rs",
        original: "Some(Taken::new(me, poison))",
        bug: "Some(Taken::new(me, 0))",
        part: "locks",
        primitive: "mutex",
        scenarios: "S1",
        situation: "",
    },
    Mutant {
        name: "nobody is ever dead",
        file: "crossdock-core/src/owner.rs",
        original: "Some(_) => primitive::is_dead(owner, REGISTRY.get().copied()),",
        bug: "Some(_) => false,",
        part: "locks",
        primitive: "mutex",
        scenarios: "S1",
        situation: "",
    },
    Mutant {
        name: "poison is reported once, not until it is cleared",
        file: "crossdock-core/src/sync/word.rs",
        original: "let taken = me.to_word() | poison | WAITERS;",
        bug: "let poison = if word & POISON == 0 { poison } else { 0 };
              let taken = me.to_word() | poison | WAITERS;",
        part: "locks",
        primitive: "mutex",
        scenarios: "S4",
        situation: "",
    },
    Mutant {
        name: "looks whether it is free, then takes it",
        file: "crossdock-core/src/sync/word.rs",
        original: "self.word.compare_exchange(0, me.to_word(), SeqCst, Relaxed).ok()?;",
        bug: "if self.word.load(Relaxed) != 0 { return None; }
              self.word.store(me.to_word(), SeqCst);",
        part: "locks",
        primitive: "mutex",
        scenarios: "S5",
        situation: "",
    },
    Mutant {
        name: "a dead reader stays for ever",
        file: "crossdock-core/src/sync/readers.rs",
        original: "cell.compare_exchange(old, old & !COUNT_MASK, SeqCst, Relaxed).is_ok()",
        bug: "cell.compare_exchange(old, old, SeqCst, Relaxed).is_err()",
        part: "locks",
        primitive: "rwlock",
        scenarios: "S1",
        situation: "",
    },
    Mutant {
        name: "a writer does not wait for readers",
        file: "crossdock-core/src/sync/rwword.rs",
        original: "self.drain(taken, deadline)",
        bug: "Ok(taken)",
        part: "locks",
        primitive: "rwlock",
        scenarios: "S1",
        situation: "",
    },
    Mutant {
        name: "readers wait for a dead writer",
        file: "crossdock-core/src/sync/rwword.rs",
        original: "is_over && !is_free && self.word.bury(word)",
        bug: "is_over && !is_free && word == 0",
        part: "locks",
        primitive: "rwlock",
        scenarios: "S1",
        situation: "",
    },
    Mutant {
        name: "a wait ends with a notification only",
        file: "crossdock-core/src/sync/condvar.rs",
        original: "if slice.is_over() {",
        bug: "if slice.is_over() && now == key.wrapping_add(1) {",
        part: "locks",
        primitive: "condvar",
        scenarios: "S2",
        situation: "",
    },
    Mutant {
        name: "a dead holder keeps its permit",
        file: "crossdock-core/src/sync/semaphore.rs",
        original: "holder != me && owner::is_dead(holder)",
        bug: "holder == me && owner::is_dead(holder)",
        part: "locks",
        primitive: "semaphore",
        scenarios: "S1",
        situation: "",
    },
    Mutant {
        name: "what a dead process began counts as done",
        file: "crossdock-core/src/sync/once.rs",
        original: "return Err(NotDone::Poisoned);",
        bug: "return Ok(());",
        part: "locks",
        primitive: "once",
        scenarios: "S1",
        situation: "",
    },
    Mutant {
        name: "a death does not break the barrier",
        file: "crossdock-core/src/sync/barrier.rs",
        original: "any(|owner| !owner.is_me() && owner::is_dead(owner))",
        bug: "any(|owner| owner.is_me() && owner::is_dead(owner))",
        part: "locks",
        primitive: "barrier",
        scenarios: "S1",
        situation: "",
    },
];

/// Makes `copy` a copy of the tree with the bug in it.
pub(super) fn seed(mutant: &Mutant, root: &Path, copy: &Path) -> Result<(), String> {
    let error = |error: io::Error| format!("the library cannot be copied: {error}");
    let file = Path::new("crates").join(mutant.file);
    let text = fs::read_to_string(root.join(&file)).map_err(error)?;
    if text.matches(mutant.original).count() != 1 {
        let message = "it is out of date, its original does not stand exactly once in";
        return Err(format!("{message} {}", file.display()));
    }
    let bug = text.replace(mutant.original, mutant.bug);
    // The documentation is a part of the library.
    for part in ["Cargo.toml", "README.md", "docs", "crates", "stepkill"] {
        synchronize(&root.join(part), &copy.join(part), &copy.join(&file)).map_err(error)?;
    }
    write_if_changed(&copy.join(&file), bug.as_bytes()).map_err(error)
}

/// Copies what has changed, so that cargo builds no more than it must.
fn synchronize(from: &Path, to: &Path, except: &Path) -> io::Result<()> {
    if !from.is_dir() {
        return if to == except { Ok(()) } else { write_if_changed(to, &fs::read(from)?) };
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        synchronize(&entry.path(), &to.join(entry.file_name()), except)?;
    }
    for entry in fs::read_dir(to)? {
        let entry = entry?;
        if !from.join(entry.file_name()).exists() {
            // A module that is gone from the library.
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
    }
    Ok(())
}

fn write_if_changed(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step;

    #[test]
    fn every_mutant_still_fits_the_library() {
        for mutant in all() {
            let path = step::root().join("crates").join(mutant.file);
            let text = fs::read_to_string(path).unwrap();
            assert_eq!(text.matches(mutant.original).count(), 1, "{}", mutant.name);
        }
    }
}
