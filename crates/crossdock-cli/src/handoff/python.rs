//! CPython's own `multiprocessing.Queue`, if there is a CPython with numpy.

use super::report::Timing;
use super::source::Source;
use super::spread::Spread;
use crate::failure::{Failure, Result};
use crate::helper::Helper;
use crate::sample::{PERIOD, Sample};
use crate::stats::Number;
use crossdock::DType;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

pub(super) const NAME: &str = "multiprocessing.Queue";

/// Both processes; see the file for the conversation.
const SCRIPT: &str = include_str!("queue.py");
/// Rounds of an array that takes seconds, and of any other.
const ROUNDS: [usize; 2] = [2, 5];
const BIG_BYTES: u64 = 200_000_000;

pub(super) enum Outcome {
    Measured {
        versions: Versions,
        timing: Timing,
        /// Modulo 2^64 if integer.
        sum: Number,
    },
    /// Why it was not.
    Absent(String),
}

/// What ran.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Versions {
    pub(super) python: String,
    pub(super) numpy: String,
}

#[derive(Deserialize)]
struct Round {
    hop_ns: u64,
    until_sum_ns: u64,
    /// Decimal; two for complex numbers.
    sum: Vec<String>,
}

/// Has Python load or make the same array, and hand it to a process of its own.
pub(super) fn measure<T: Sample>(source: &Source, limit: Duration) -> Result<Outcome> {
    let Some(dtype) = numpy_name(T::DTYPE) else {
        return Ok(Outcome::Absent(format!("absent (numpy has no {})", T::DTYPE)));
    };
    let rounds = ROUNDS[usize::from(source.len_bytes() < BIG_BYTES)];
    let mut command = Command::new("python3");
    command.args(["-W", "ignore", "-c", SCRIPT, dtype, &rounds.to_string()]);
    match source {
        Source::File { path, .. } => command.arg("file").arg(absolute(path)?),
        Source::Made { elements, .. } => {
            command.args(["made", &elements.to_string(), &PERIOD.to_string()])
        }
    };
    let absent = || Outcome::Absent("absent (python3 with numpy not found)".to_owned());
    let Ok(mut python) = Helper::start("python3", command, limit) else { return Ok(absent()) };
    let Some(line) = python.hear_line()? else { return Ok(absent()) };
    let versions: Versions = parse(&line)?;
    let (mut hops, mut sums, mut sum) = (Vec::new(), Vec::new(), None);
    while let Some(line) = python.hear_line()? {
        let round: Round = parse(&line)?;
        hops.push(round.hop_ns);
        sums.push(round.until_sum_ns);
        sum = Some(number::<T>(&round.sum)?);
    }
    // Its own memory may not suffice where ours did: that is a result, no failure of this command.
    if let Err(failure) = python.finish() {
        return Ok(Outcome::Absent(format!("{failure}")));
    }
    let Some(sum) = sum else { return Ok(absent()) };
    Ok(Outcome::Measured {
        versions,
        timing: Timing::plain(Spread::of(hops), Spread::of(sums)),
        sum,
    })
}

/// A path that does not look like an option.
fn absolute(path: &Path) -> Result<std::path::PathBuf> {
    std::path::absolute(path).map_err(Failure::os("cannot tell the current directory"))
}

fn nonsense(text: &str) -> Failure {
    Failure::Helper(format!("python3 answered {:?}", text.trim_end()))
}

fn parse<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T> {
    serde_json::from_str(line).map_err(|_| nonsense(line))
}

fn number<T: Sample>(texts: &[String]) -> Result<Number> {
    let wrong = || nonsense(&texts.join(" "));
    let real = |text: &String| text.parse::<f64>().map_err(|_| wrong());
    match (T::sum(&[]), texts) {
        (Number::Integer(_), [sum]) => sum.parse().map(Number::Integer).map_err(|_| wrong()),
        (Number::Real(_), [sum]) => real(sum).map(Number::Real),
        (Number::Complex(..), [re, im]) => Ok(Number::Complex(real(re)?, real(im)?)),
        _ => Err(wrong()),
    }
}

/// What numpy calls an element type.
fn numpy_name(dtype: DType) -> Option<&'static str> {
    let name = match dtype {
        DType::F16 => "float16",
        DType::F32 => "float32",
        DType::F64 => "float64",
        DType::I8 => "int8",
        DType::I16 => "int16",
        DType::I32 => "int32",
        DType::I64 => "int64",
        DType::U8 => "uint8",
        DType::U16 => "uint16",
        DType::U32 => "uint32",
        DType::U64 => "uint64",
        DType::Bool => "bool",
        DType::C64 => "complex64",
        DType::C128 => "complex128",
        _ => return None,
    };
    Some(name)
}
