//! How a function is named in another process.
//!
//! A task is a plain `fn`, or a closure that captures nothing: its type has no size, so the type is all there
//! is to it, and any process of the same build has it. Each type that is spawned gets an [`Entry`], a
//! constant in the program, made by the compiler for generic instances as well. What travels is its
//! distance from the start of the image, which address space layout randomisation does not change.
//!
//! # Why not a table
//!
//! A table that is filled at link time needs an attribute on every task, cannot hold instances that nobody
//! has listed, and has been silently empty under some linkers (linkme #31, #61; inventory #52). The
//! compiler already has the complete table: the program. What a table would be compared for, the build
//! id is. Before anything is called, the entry must lie within the image, begin with [`MAGIC`], and lead to
//! code of the image; before the task is called, its name must have the right hash. That is against mistakes:
//! who may write to the line of a process is its user, or root (`Line::adopt`), and need not be stopped.
#![allow(unsafe_code, reason = "an entry is found by its address")]

use super::envelope::INLINE_BYTES_MAX;
use super::wire::TaskId;
use crate::error::{Error, ErrorKind, Result};
use crate::letter::Letter;
use crossdock_sys::image::Image;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::OnceLock;

/// What an entry begins with, so that no other bytes are taken for one.
const MAGIC: [u64; 2] = [0x7c1d_5a3e_90b4_66f1, 0x2e8f_d377_0b95_c24a];
const _: () = assert!(size_of::<Entry>() == size_of::<[u64; 2]>() + size_of::<[usize; 2]>());

/// Everything that another process of the same build needs to run a task.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Entry {
    magic: [u64; 2],
    name: fn() -> &'static str,
    run: Run,
}

/// Opens an argument, says that it has, calls the task, and seals the result behind some bytes.
type Run = fn(Letter, &mut dyn FnMut(), &[u8]) -> Result<Letter, Refusal>;

/// Why a task gave no result although it did not panic.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(super) kind: ErrorKind,
    pub(super) text: String,
}

impl Entry {
    /// Calls the task with an argument that was sealed, and `begun` before that; the result, sealed behind `head`.
    pub(super) fn run(
        &self,
        argument: Letter,
        begun: &mut dyn FnMut(),
        head: &[u8],
    ) -> Result<Letter, Refusal> {
        (self.run)(argument, begun, head)
    }

    /// The path of the function.
    pub(super) fn name(&self) -> &'static str {
        (self.name)()
    }
}

/// The entry of a task.
pub(crate) fn entry<F, A, R>() -> &'static Entry
where
    F: Fn(A) -> R + Copy + Send + 'static,
    A: DeserializeOwned,
    R: Serialize,
{
    entry_within::<F, A, R, INLINE_BYTES_MAX>()
}

/// As [`entry`], of a task whose result may take so many bytes.
pub(crate) fn entry_within<F, A, R, const BYTES_MAX: usize>() -> &'static Entry
where
    F: Fn(A) -> R + Copy + Send + 'static,
    A: DeserializeOwned,
    R: Serialize,
{
    const {
        assert!(
            size_of::<F>() == 0,
            "a task is a plain fn, or a closure that captures nothing: pass what it needs as its argument"
        );
    }
    Instance::<F, A, R, BYTES_MAX>::ENTRY
}

struct Instance<F, A, R, const BYTES_MAX: usize>(PhantomData<(F, A, R)>);

impl<F, A, R, const BYTES_MAX: usize> Instance<F, A, R, BYTES_MAX>
where
    F: Fn(A) -> R + Copy + Send + 'static,
    A: DeserializeOwned,
    R: Serialize,
{
    const ENTRY: &'static Entry = &Entry { magic: MAGIC, name: Self::name, run: Self::run };

    fn name() -> &'static str {
        std::any::type_name::<F>()
    }

    fn run(argument: Letter, begun: &mut dyn FnMut(), head: &[u8]) -> Result<Letter, Refusal> {
        let argument = argument.open::<A>().map_err(|error| Refusal {
            kind: error.kind(),
            text: format!("its argument cannot be read: {error}"),
        })?;
        begun();
        // SAFETY: `F` has no size (`entry` checks), so the pointer need only be aligned. Whoever spawned the task
        // had a value of it, and a `Copy` type may be had twice. That was in another process: for a function, or a
        // closure that captures nothing, this makes no difference; a captured token without a size that stands for
        // something done in a process (docs/caveats.md) is the caller's to keep out.
        let task = unsafe { NonNull::<F>::dangling().read() };
        let result = task(argument);
        Letter::seal_within(head, result, BYTES_MAX).map_err(|error| Refusal {
            kind: error.kind(),
            text: format!("its result cannot be sent: {error}"),
        })
    }
}

/// The entry of a task that does nothing.
pub(super) fn nothing() -> &'static Entry {
    fn of<F, A, R>(_: F) -> &'static Entry
    where
        F: Fn(A) -> R + Copy + Send + 'static,
        A: DeserializeOwned,
        R: Serialize,
    {
        entry::<F, A, R>()
    }
    of(|number: u32| number)
}

/// The build of the program, or shared library, that contains this code.
pub(super) fn build() -> Result<&'static [u8]> {
    Ok(image()?.build())
}

fn image() -> Result<&'static Image> {
    static IMAGE: OnceLock<Option<Image>> = OnceLock::new();
    let anchor: fn() -> Result<&'static Image> = image;
    IMAGE.get_or_init(|| Image::containing(anchor as *const ())).as_ref().ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, "cannot find out where this program lies in memory")
    })
}

/// How another process of this build finds `entry`.
pub(crate) fn id(entry: &'static Entry) -> Result<TaskId> {
    let address = std::ptr::from_ref(entry).addr();
    let image = image()?;
    if !image.contains(&(address..address + size_of::<Entry>())) {
        let text = format!(
            "the task {} is in another shared library than crossdock (link both statically)",
            entry.name()
        );
        return Err(Error::new(ErrorKind::Unsupported, text));
    }
    let offset = address.wrapping_sub(image.base()) as u64;
    Ok(TaskId { offset, name_hash: hash(entry.name()) })
}

/// The task that a process of this build has named.
pub(super) fn find(id: TaskId) -> Result<&'static Entry> {
    let wrong = |why| Error::corrupt("the name of a task", why);
    let image = image()?;
    let offset = usize::try_from(id.offset).map_err(|_| wrong("it is too long"))?;
    let address = image.base().wrapping_add(offset);
    let end = address.checked_add(size_of::<Entry>()).ok_or_else(|| wrong("it leads nowhere"))?;
    if !image.contains(&(address..end)) || !address.is_multiple_of(align_of::<Entry>()) {
        return Err(wrong("it leads out of the program"));
    }
    let place = std::ptr::with_exposed_provenance::<[u64; 2]>(address);
    // SAFETY: the range is mapped and readable (invariant 1 of `Image`) and aligned; any bytes are numbers.
    let magic = unsafe { place.read() };
    if magic != MAGIC {
        return Err(wrong("there is no task there"));
    }
    let calls = place.wrapping_add(1).cast::<[usize; 2]>();
    // SAFETY: the range that was checked ends behind them; they are aligned as the entry is, and any bytes are
    // numbers.
    let calls = unsafe { calls.read() };
    if !calls.into_iter().all(|call| image.contains_code(call)) {
        return Err(wrong("it leads to no code"));
    }
    // SAFETY: the range is mapped, readable and aligned. `MAGIC` and two addresses of code stand together in
    // entries only, so it is a valid value; entries are constants, which nobody ever writes.
    let entry = unsafe { &*place.cast::<Entry>() };
    if hash(entry.name()) != id.name_hash {
        return Err(wrong("there is another task there"));
    }
    Ok(entry)
}

/// FNV-1a of 64 bits.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// What people call the function: the last part of its path, without its type arguments.
pub(super) fn short_name(path: &str) -> &str {
    let path = path.split('<').next().unwrap_or(path);
    match path.rsplit("::").next() {
        Some(name) if !name.starts_with('{') && !name.is_empty() => name,
        _ => "task",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    fn double(x: u32) -> u32 {
        2 * x
    }

    fn wrap<T>(x: T) -> Option<T> {
        Some(x)
    }

    fn entry_of<F, A, R>(_: F) -> &'static Entry
    where
        F: Fn(A) -> R + Copy + Send + 'static,
        A: DeserializeOwned,
        R: Serialize,
    {
        entry::<F, A, R>()
    }

    fn call<A: Serialize, R: DeserializeOwned>(entry: &Entry, argument: A) -> R {
        let mut has_begun = false;
        let argument = Letter::seal(&[], argument).unwrap();
        let mut result = entry.run(argument, &mut || has_begun = true, b"head").unwrap();
        assert!(has_begun);
        assert_eq!(&result.head::<4>().unwrap(), b"head");
        result.open().unwrap()
    }

    #[test]
    fn a_task_is_found_by_its_id_and_runs() {
        let found = find(id(entry_of(double)).unwrap()).unwrap();
        assert_eq!(call::<_, u32>(found, 21_u32), 42);
    }

    #[test]
    fn instances_and_closures_are_tasks_of_their_own() {
        let (a, b) = (entry_of(wrap::<u8>), entry_of(wrap::<f64>));
        let c = entry_of(|text: String| text.len());
        assert_ne!(id(a).unwrap(), id(b).unwrap());
        assert_ne!(a.name(), b.name());
        assert_eq!(call::<_, usize>(find(id(c).unwrap()).unwrap(), "four"), 4);
    }

    #[test]
    fn a_wrong_id_finds_nothing() {
        let right = id(entry_of(double)).unwrap();
        let shifted = |by: u64| TaskId { offset: right.offset.wrapping_add(by), ..right };
        let renamed = TaskId { name_hash: right.name_hash ^ 1, ..right };
        for id in [shifted(1), shifted(8), shifted(1 << 40), shifted(u64::MAX), renamed] {
            assert_eq!(find(id).unwrap_err().kind(), ErrorKind::Corrupt, "{id:?}");
        }
    }

    #[test]
    fn what_only_looks_like_a_task_is_not_called() {
        /// As an entry, but its functions are numbers.
        #[repr(C)]
        struct Fake([u64; 2], [&'static AtomicU64; 2]);
        static DATA: AtomicU64 = AtomicU64::new(7);
        static FAKE: Fake = Fake(MAGIC, [&DATA, &DATA]);
        let address = (&raw const FAKE).addr();
        assert_eq!(FAKE.1.map(|data| data.load(Ordering::Relaxed)), [7; 2]);
        let offset = (address - image().unwrap().base()) as u64;
        let error = find(TaskId { offset, name_hash: 0 }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("no code"), "{error}");
    }

    #[test]
    fn an_argument_of_another_type_is_refused() {
        let nothing = Letter::seal(&[], ()).unwrap();
        let refusal = entry_of(double).run(nothing, &mut || (), &[]).unwrap_err();
        assert_eq!(refusal.kind, ErrorKind::Corrupt);
        assert!(refusal.text.contains("u32"), "{}", refusal.text);
    }

    #[test]
    fn names_are_short() {
        assert_eq!(short_name(entry_of(double).name()), "double");
        assert_eq!(short_name(entry_of(wrap::<Vec<u8>>).name()), "wrap");
        assert_eq!(short_name(entry_of(|x: u32| x).name()), "task");
    }
}
