//! How each number lies in an atomic of std, and what can be done to it there.

use std::sync::atomic::Ordering::{self, Acquire, Relaxed, SeqCst};
use std::sync::atomic::{
    AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicU8, AtomicU16, AtomicU32, AtomicU64,
};

/// A number in an atomic of the same size.
pub trait Store: Copy {
    /// The atomic.
    type Word: Send + Sync;

    fn into_word(self) -> Self::Word;
    fn load(word: &Self::Word, order: Ordering) -> Self;
    fn store(word: &Self::Word, value: Self, order: Ordering);
    fn swap(word: &Self::Word, value: Self, order: Ordering) -> Self;
    fn exchange(
        word: &Self::Word,
        current: Self,
        new: Self,
        success: Ordering,
        failure: Ordering,
    ) -> Result<Self, Self>;
    fn exchange_weak(
        word: &Self::Word,
        current: Self,
        new: Self,
        success: Ordering,
        failure: Ordering,
    ) -> Result<Self, Self>;
}

/// What numbers can do.
pub trait Number: Store {
    fn add(word: &Self::Word, value: Self, order: Ordering) -> Self;
    fn sub(word: &Self::Word, value: Self, order: Ordering) -> Self;
    fn max(word: &Self::Word, value: Self, order: Ordering) -> Self;
    fn min(word: &Self::Word, value: Self, order: Ordering) -> Self;
}

/// What bits can do.
pub trait Bits: Store {
    fn and(word: &Self::Word, value: Self, order: Ordering) -> Self;
    fn or(word: &Self::Word, value: Self, order: Ordering) -> Self;
    fn xor(word: &Self::Word, value: Self, order: Ordering) -> Self;
}

/// A number whose bits lie in a `$word`: `$encode` makes them of the number, `$decode` the reverse.
macro_rules! store {
    ($type:ty, $word:ty, $encode:expr, $decode:expr) => {
        impl Store for $type {
            type Word = $word;

            #[inline]
            fn into_word(self) -> $word {
                <$word>::new($encode(self))
            }

            #[inline]
            fn load(word: &$word, order: Ordering) -> Self {
                $decode(word.load(order))
            }

            #[inline]
            fn store(word: &$word, value: Self, order: Ordering) {
                word.store($encode(value), order);
            }

            #[inline]
            fn swap(word: &$word, value: Self, order: Ordering) -> Self {
                $decode(word.swap($encode(value), order))
            }

            #[inline]
            fn exchange(
                word: &$word,
                current: Self,
                new: Self,
                success: Ordering,
                failure: Ordering,
            ) -> Result<Self, Self> {
                word.compare_exchange($encode(current), $encode(new), success, failure)
                    .map($decode)
                    .map_err($decode)
            }

            #[inline]
            fn exchange_weak(
                word: &$word,
                current: Self,
                new: Self,
                success: Ordering,
                failure: Ordering,
            ) -> Result<Self, Self> {
                word.compare_exchange_weak($encode(current), $encode(new), success, failure)
                    .map($decode)
                    .map_err($decode)
            }
        }
    };
}

/// Methods of std's atomic under our names.
macro_rules! methods {
    ($type:ty, $word:ty: $($name:ident = $method:ident),+) => {$(
        #[inline]
        fn $name(word: &$word, value: $type, order: Ordering) -> $type {
            word.$method(value, order)
        }
    )+};
}

macro_rules! integers {
    ($($type:ty => $word:ty),+ $(,)?) => {$(
        store!($type, $word, std::convert::identity, std::convert::identity);

        impl Number for $type {
            methods!($type, $word: add = fetch_add, sub = fetch_sub, max = fetch_max, min = fetch_min);
        }

        impl Bits for $type {
            methods!($type, $word: and = fetch_and, or = fetch_or, xor = fetch_xor);
        }
    )+};
}

integers! {
    u8 => AtomicU8, u16 => AtomicU16, u32 => AtomicU32, u64 => AtomicU64,
    i8 => AtomicI8, i16 => AtomicI16, i32 => AtomicI32, i64 => AtomicI64,
}

/// Changes a value by a loop of exchanges. No processor has an instruction for these.
#[inline]
fn change<T: Store>(word: &T::Word, order: Ordering, new: impl Fn(T) -> T) -> T {
    // What a failed exchange has seen is only the input of the next one, but an ordering that acquires
    // is meant for the value that is returned.
    let failure = match order {
        Ordering::AcqRel | Acquire => Acquire,
        SeqCst => SeqCst,
        _ => Relaxed,
    };
    let mut value = T::load(word, failure);
    loop {
        match T::exchange_weak(word, value, new(value), order, failure) {
            Ok(value) => return value,
            Err(found) => value = found,
        }
    }
}

macro_rules! floats {
    ($($type:ty => $word:ty),+) => {$(
        store!($type, $word, <$type>::to_bits, <$type>::from_bits);

        impl Number for $type {
            #[inline]
            fn add(word: &$word, value: Self, order: Ordering) -> Self {
                change(word, order, |old: Self| old + value)
            }

            #[inline]
            fn sub(word: &$word, value: Self, order: Ordering) -> Self {
                change(word, order, |old: Self| old - value)
            }

            #[inline]
            fn max(word: &$word, value: Self, order: Ordering) -> Self {
                change(word, order, |old: Self| old.max(value))
            }

            #[inline]
            fn min(word: &$word, value: Self, order: Ordering) -> Self {
                change(word, order, |old: Self| old.min(value))
            }
        }
    )+};
}

floats!(f32 => AtomicU32, f64 => AtomicU64);

/// A byte that is not 0 is `true`, whatever wrote it, so nothing here may count on 1.
impl Store for bool {
    type Word = AtomicU8;

    #[inline]
    fn into_word(self) -> AtomicU8 {
        AtomicU8::new(u8::from(self))
    }

    #[inline]
    fn load(word: &AtomicU8, order: Ordering) -> Self {
        word.load(order) != 0
    }

    #[inline]
    fn store(word: &AtomicU8, value: Self, order: Ordering) {
        word.store(u8::from(value), order);
    }

    #[inline]
    fn swap(word: &AtomicU8, value: Self, order: Ordering) -> Self {
        word.swap(u8::from(value), order) != 0
    }

    #[inline]
    fn exchange(
        word: &AtomicU8,
        current: Self,
        new: Self,
        success: Ordering,
        failure: Ordering,
    ) -> Result<Self, Self> {
        let mut expected = u8::from(current);
        loop {
            match word.compare_exchange(expected, u8::from(new), success, failure) {
                Ok(_) => return Ok(current),
                Err(found) if (found != 0) == current => expected = found,
                Err(found) => return Err(found != 0),
            }
        }
    }

    #[inline]
    fn exchange_weak(
        word: &AtomicU8,
        current: Self,
        new: Self,
        success: Ordering,
        failure: Ordering,
    ) -> Result<Self, Self> {
        Self::exchange(word, current, new, success, failure)
    }
}

impl Bits for bool {
    #[inline]
    fn and(word: &AtomicU8, value: Self, order: Ordering) -> Self {
        // Either way one step that reads and writes, so that the ordering means what it says.
        if value { word.fetch_or(0, order) != 0 } else { word.swap(0, order) != 0 }
    }

    #[inline]
    fn or(word: &AtomicU8, value: Self, order: Ordering) -> Self {
        word.fetch_or(u8::from(value), order) != 0
    }

    #[inline]
    fn xor(word: &AtomicU8, value: Self, order: Ordering) -> Self {
        if value { change(word, order, |old: Self| !old) } else { word.fetch_or(0, order) != 0 }
    }
}
