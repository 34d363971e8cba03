use super::*;
use Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use std::fmt::Debug;
use std::sync::atomic::{AtomicU8, AtomicU64};

/// What every type can do, with two different values.
fn exchange<T: AtomicElement + PartialEq + Debug>(a: T, b: T) {
    let atomic = Atomic::new(a);
    assert_eq!((size_of_val(&atomic), align_of_val(&atomic)), (size_of::<T>(), size_of::<T>()));
    assert_eq!(atomic.swap(b, AcqRel), a);
    assert_eq!(atomic.compare_exchange(a, a, SeqCst, Relaxed), Err(b));
    assert_eq!(atomic.compare_exchange(b, a, AcqRel, Acquire), Ok(b));
    assert_eq!(atomic.load(Acquire), a);
    atomic.store(b, Release);
    assert_eq!(atomic.fetch_update(AcqRel, Acquire, |_| None), Err(b));
    assert_eq!(atomic.fetch_update(AcqRel, Acquire, |_| Some(a)), Ok(b));
    assert_eq!(format!("{atomic:?}"), format!("{a:?}"));
    assert_eq!(Atomic::from(b).into_inner(), b);
    assert_eq!(Atomic::<T>::default().into_inner(), T::zeroed());
}

#[test]
fn every_type_is_loaded_stored_and_exchanged() {
    exchange(1_u8, 255);
    exchange(1_u16, u16::MAX);
    exchange(1_u32, u32::MAX);
    exchange(1_u64, u64::MAX);
    exchange(1_i8, -128);
    exchange(1_i16, i16::MIN);
    exchange(1_i32, i32::MIN);
    exchange(1_i64, i64::MIN);
    exchange(0.5_f32, f32::NEG_INFINITY);
    exchange(0.5_f64, f64::MIN_POSITIVE);
    exchange(true, false);
}

#[test]
fn integers_wrap_and_keep_their_sign() {
    let number = Atomic::new(-1_i8);
    assert_eq!(number.fetch_max(-100, Relaxed), -1);
    assert_eq!(number.fetch_min(-100, Relaxed), -1);
    assert_eq!(number.fetch_sub(100, Relaxed), -100);
    assert_eq!(number.fetch_add(1, Relaxed), 56);
    assert_eq!(number.fetch_and(0x0f, Relaxed), 57);
    assert_eq!(number.fetch_or(0x30, Relaxed), 9);
    assert_eq!(number.fetch_xor(-1, Relaxed), 57);
    assert_eq!(number.load(Relaxed), -58);
}

#[test]
fn floats_are_added_by_value_and_exchanged_by_bits() {
    for order in [Relaxed, Acquire, Release, AcqRel, SeqCst] {
        let number = Atomic::new(1.5_f32);
        assert_eq!(number.fetch_add(0.25, order), 1.5);
        assert_eq!(number.fetch_sub(2.0, order), 1.75);
        assert_eq!(number.fetch_max(f32::NAN, order), -0.25);
        assert_eq!(number.fetch_min(-3.0, order), -0.25);
        assert_eq!(number.load(Relaxed), -3.0);
    }
    let zero = Atomic::new(-0.0_f64);
    assert!(zero.compare_exchange(0.0, 1.0, Relaxed, Relaxed).is_err());
    let nan = Atomic::new(f64::NAN);
    assert!(nan.compare_exchange(f64::NAN, 1.0, Relaxed, Relaxed).is_ok());
    assert_eq!(nan.fetch_max(2.0, Relaxed), 1.0);
    nan.store(f64::NAN, Relaxed);
    nan.fetch_min(7.0, Relaxed);
    assert_eq!(nan.load(Relaxed), 7.0);
}

#[test]
fn bools_combine_whatever_byte_says_true() {
    let byte = |byte| Atomic::<bool> { word: AtomicU8::new(byte) };
    for (bits, old) in [(0, false), (1, true), (2, true), (0xfe, true), (0xff, true)] {
        for value in [false, true] {
            let combined = |combine: fn(&Atomic<bool>, bool, Ordering) -> bool| {
                let atomic = byte(bits);
                assert_eq!(combine(&atomic, value, AcqRel), old, "{bits} {value}");
                atomic.load(Relaxed)
            };
            assert_eq!(combined(Atomic::fetch_and), old & value, "{bits} & {value}");
            assert_eq!(combined(Atomic::fetch_or), old | value, "{bits} | {value}");
            assert_eq!(combined(Atomic::fetch_xor), old ^ value, "{bits} ^ {value}");
            assert_eq!(combined(Atomic::swap), value);
            let atomic = byte(bits);
            let exchanged = atomic.compare_exchange(value, !value, SeqCst, SeqCst);
            assert_eq!(exchanged, if old == value { Ok(old) } else { Err(old) }, "{bits} {value}");
            assert_eq!(atomic.load(Relaxed), if old == value { !value } else { old });
        }
    }
}

#[test]
fn nothing_is_lost_when_threads_add_at_once() {
    const THREADS: u32 = 4;
    const ROUNDS: u32 = 5000;
    let (whole, half) = (Atomic::new(0_u16), Atomic::new(0_f64));
    let (largest, flag) = (Atomic::new(f32::NEG_INFINITY), Atomic::new(false));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (whole, half, largest, flag) = (&whole, &half, &largest, &flag);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    whole.fetch_add(1, Relaxed);
                    half.fetch_add(0.5, Relaxed);
                    largest.fetch_max((thread * ROUNDS + round) as f32, Relaxed);
                    flag.fetch_xor(true, Relaxed);
                }
            });
        }
    });
    assert_eq!(u32::from(whole.load(Relaxed)), THREADS * ROUNDS);
    assert_eq!(half.load(Relaxed), f64::from(THREADS * ROUNDS) / 2.0);
    assert_eq!(largest.load(Relaxed), (THREADS * ROUNDS - 1) as f32);
    assert!(!flag.load(Relaxed), "an even number of flips");
}

#[test]
fn an_atomic_is_the_word_of_std() {
    let atomic = Atomic::new(1.0_f64);
    let word: &AtomicU64 = &atomic.word;
    assert_eq!(word.load(Relaxed), 1.0_f64.to_bits());
}
