//! What `#[derive(ShmSafe)]` makes of a struct.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

mod common;

use common::unique;
use crossdock::sync::{Mutex, RwLock, Semaphore};
use crossdock::{Atomic, AtomicElement, Complex, ErrorKind, ShmSafe, TypeLayout, Value};
use std::marker::PhantomData;
use std::sync::atomic::Ordering::Relaxed;

#[derive(ShmSafe)]
#[repr(C)]
struct Stats {
    count: u64,
    sum: f64,
}

#[derive(ShmSafe)]
#[repr(C, align(64))]
struct Pair<T, const N: usize>
where
    T: Copy,
{
    first: T,
    r#type: [T; N],
}

#[derive(ShmSafe)]
#[repr(C)]
struct Counter<T: AtomicElement> {
    hits: Atomic<T>,
}

#[derive(ShmSafe)]
#[repr(transparent)]
struct Metres<Unit>(f64, PhantomData<Unit>);

#[derive(ShmSafe)]
#[repr(C)]
struct Nothing;

/// A program that has crossdock under another name.
mod elsewhere {
    pub(crate) mod dock {
        pub(crate) use crossdock as inner;
    }

    #[derive(dock::inner::ShmSafe)]
    #[shm_safe(crate = self::dock::inner)]
    #[repr(C)]
    pub(crate) struct Stats {
        pub(crate) count: u64,
        pub(crate) sum: f64,
    }
}

/// The names in a derive are not those of the macro around it.
macro_rules! structure {
    ($name:ident, $layout:ident: $type:ty, $fields:ident: $other:ty) => {
        #[derive(ShmSafe)]
        #[repr(C)]
        struct $name {
            $layout: $type,
            $fields: $other,
        }
    };
}

structure!(Hygienic, layout: u8, fields: [Stats; 2]);

fn text<T: ?Sized + ShmSafe>() -> String {
    TypeLayout::of::<T>().text().to_owned()
}

#[test]
fn every_field_is_described_all_the_way_down() {
    let stats = "Stats { count: u64 @0, sum: f64 @8 } (16 bytes, aligned to 8)";
    assert_eq!(text::<Stats>(), stats);
    let pair = "Pair { first: u16 @0, type: [u16; 3] @2 } (64 bytes, aligned to 64)";
    assert_eq!(text::<Pair<u16, 3>>(), pair);
    let counter = "Counter { hits: Atomic<bool> @0 } (1 bytes, aligned to 1)";
    assert_eq!(text::<Counter<bool>>(), counter);
    let metres = "Metres { 0: f64 @0, 1: PhantomData<Stats> @8 } (8 bytes, aligned to 8)";
    assert_eq!(text::<Metres<Stats>>(), metres);
    assert_eq!(text::<Nothing>(), "Nothing { } (0 bytes, aligned to 1)");
    assert_eq!(text::<RwLock<[Mutex<Stats>]>>(), format!("RwLock<[Mutex<{stats}>]>"));
    let hygienic = "Hygienic { layout: u8 @0, fields: [".to_owned()
        + stats
        + "; 2] @8 } (40 bytes, aligned to 8)";
    assert_eq!(text::<Hygienic>(), hygienic);
}

#[test]
fn the_same_struct_of_two_programs_is_the_same() {
    assert_eq!(TypeLayout::of::<Stats>(), TypeLayout::of::<elsewhere::Stats>());
    let name = unique("stats");
    let ours = Value::create(&name, Stats { count: 3, sum: 0.5 }).unwrap();
    let theirs = Value::<elsewhere::Stats>::open(&name).unwrap();
    assert_eq!((theirs.count, theirs.sum), (ours.count, ours.sum));
}

#[test]
fn another_struct_of_that_size_is_an_error_that_shows_both() {
    /// Its field `sum` is a whole number.
    mod changed {
        #[derive(Debug, crossdock::ShmSafe)]
        #[repr(C)]
        pub(super) struct Stats {
            count: u64,
            sum: u64,
        }
    }
    let name = unique("changed");
    let old = Value::create(&name, Mutex::new([Stats { count: 1, sum: 2.0 }])).unwrap();
    assert_eq!(old.lock().unwrap()[0].count, 1);
    let error = Value::<Mutex<[changed::Stats; 1]>>::open(&name).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongType);
    let text = error.to_string();
    assert!(text.contains("sum: f64 @8") && text.contains("sum: u64 @8"), "{text}");
}

#[test]
fn a_struct_of_everything_lives_in_a_value() {
    #[derive(ShmSafe)]
    #[repr(C)]
    struct Everything {
        spectrum: RwLock<[Complex<f32>; 4]>,
        gpus: Semaphore<8>,
        pair: Mutex<Pair<i16, 2>>,
        counter: Counter<f32>,
        length: Metres<u8>,
    }
    let everything = Everything {
        spectrum: RwLock::new([Complex::new(1.0, -1.0); 4]),
        gpus: Semaphore::with_room(2),
        pair: Mutex::new(Pair { first: 1, r#type: [2, 3] }),
        counter: Counter { hits: Atomic::new(0.25) },
        length: Metres(42.0, PhantomData),
    };
    let value = Value::anonymous(everything).unwrap();
    value.spectrum.write().unwrap()[3].im = 7.0;
    assert_eq!(value.spectrum.read().unwrap()[3], Complex::new(1.0, 7.0));
    assert_eq!(value.gpus.acquire().index(), 0);
    let pair = value.pair.lock().unwrap();
    assert_eq!((pair.first, pair.r#type), (1, [2, 3]));
    assert_eq!(std::ptr::from_ref(&*pair).addr() % 64, 0);
    value.counter.hits.fetch_add(0.5, Relaxed);
    assert_eq!(value.counter.hits.load(Relaxed), 0.75);
    assert_eq!(value.length.0, 42.0);
}
