//! A queue as one would write it with serde: the array becomes postcard bytes, which go through a pipe
//! and become an array again.

use super::consumer::{answer, request};
use super::report::Timing;
use super::spread::Spread;
use crate::failure::{Failure, Result};
use crate::helper::Helper;
use crate::sample::Sample;
use crate::stats::Summary;
use crossdock::{ArrayMut, Order};
use crossdock_sys::clock::now_ns;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::env;
use std::fmt;
use std::marker::PhantomData;
use std::process::Command;
use std::time::Duration;

pub(super) const NAME: &str = "serde queue in Rust";

/// Elements of the first, unmeasured message.
const WARM_UP: usize = 1_000;
const ROUNDS: usize = 3;
/// What a message has besides its elements.
const OVERHEAD_BYTES: usize = 1 << 10;

pub(super) struct Theirs {
    pub(super) timing: Timing,
    pub(super) summary: Summary,
}

#[derive(Serialize)]
#[serde(bound = "")]
struct Sent<'a, T: Sample> {
    shape: &'a [usize],
    is_fortran: bool,
    elements: Elements<'a, T>,
}

#[derive(Deserialize)]
#[serde(bound = "")]
struct Got<T: Sample> {
    shape: Vec<usize>,
    is_fortran: bool,
    elements: OwnedElements<T>,
}

#[derive(Serialize, Deserialize)]
struct Answer {
    got_ns: u64,
    read_ns: u64,
    summary: Summary,
    shape: Vec<usize>,
    is_fortran: bool,
}

/// Hands the array over and over to a process that deserialises it.
pub(super) fn measure<T: Sample>(array: &ArrayMut<T>, limit: Duration) -> Result<Theirs> {
    let mut command = Command::new(env::current_exe().map_err(Failure::os("cannot find myself"))?);
    command.args(["consumer", "bytes", T::DTYPE.name()]);
    let mut consumer = Helper::start("the consumer of the serialising queue", command, limit)?;
    let is_fortran = array.order() == Order::F;
    let mut pass = |shape: &[usize], elements: &[T]| -> Result<(u64, Answer)> {
        let sent = Sent { shape, is_fortran, elements: Elements(elements) };
        let gave = now_ns();
        consumer.tell_much(&sent, size_of_val(elements) + OVERHEAD_BYTES)?;
        let answer = consumer.hear::<Answer>()?;
        if answer.shape != shape || answer.is_fortran != is_fortran {
            return Err(Failure::Mismatch(format!(
                "the serialising queue made an array of shape {:?} from one of {shape:?}",
                answer.shape
            )));
        }
        Ok((gave, answer))
    };
    let few = &array[..array.len().min(WARM_UP)];
    let (_, mut answer) = pass(&[few.len()], few)?;
    let (mut hops, mut sums) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let gave;
        (gave, answer) = pass(array.shape(), array)?;
        hops.push(answer.got_ns.saturating_sub(gave));
        sums.push(answer.read_ns.saturating_sub(gave));
    }
    consumer.finish()?;
    let timing = Timing::plain(Spread::of(hops), Spread::of(sums));
    Ok(Theirs { timing, summary: answer.summary })
}

/// The other process.
pub(super) fn consume<T: Sample>() -> Result<()> {
    while let Some(got) = request::<Got<T>>()? {
        let got_ns = now_ns();
        let elements = &got.elements.0;
        let sum = T::sum(elements);
        let read_ns = now_ns();
        let summary = Summary::with_sum(elements, sum);
        let (shape, is_fortran) = (got.shape, got.is_fortran);
        answer(&Answer { got_ns, read_ns, summary, shape, is_fortran })?;
    }
    Ok(())
}

struct Elements<'a, T>(&'a [T]);

impl<T: Sample> Serialize for Elements<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|value| value.to_wire()))
    }
}

struct OwnedElements<T>(Vec<T>);

impl<'de, T: Sample> Deserialize<'de> for OwnedElements<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(InOneVec(PhantomData)).map(Self)
    }
}

/// Makes a vector that is as large as announced from the start, unlike serde's own.
struct InOneVec<T>(PhantomData<T>);

impl<'de, T: Sample> Visitor<'de> for InOneVec<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "elements of {}", T::DTYPE)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
        let mut values = Vec::with_capacity(elements.size_hint().unwrap_or(0));
        while let Some(wire) = elements.next_element()? {
            values.push(T::from_wire(wire));
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossdock::{Complex, f16};

    #[test]
    fn elements_survive_the_queue() {
        fn check<T: Sample>(elements: &[T]) {
            let sent =
                Sent { shape: &[elements.len()], is_fortran: true, elements: Elements(elements) };
            let bytes = postcard::to_stdvec(&sent).unwrap();
            let got: Got<T> = postcard::from_bytes(&bytes).unwrap();
            assert_eq!((got.elements.0, got.is_fortran), (elements.to_vec(), true));
        }
        check(&[1.5_f64, f64::MIN, f64::INFINITY]);
        check(&[f16::from_f32(0.5)]);
        check(&[Complex::new(1.0_f32, -2.0)]);
        check(&[true, false]);
        check::<i64>(&[]);
    }
}
