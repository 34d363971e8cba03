//! The other process of `crossdock handoff`.

use super::ours::{Ends, Manner};
use super::queue;
use crate::failure::{Failure, Result};
use crate::frame;
use crate::sample::{Sample, with_dtype};
use crate::stats::Summary;
use crossdock::channel::{Receiver, Sender};
use crossdock::{ArrayMut, DType};
use crossdock_sys::clock::now_ns;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{stdin, stdout};
use std::time::Duration;

/// Longer than the other process waits for anything; then it is gone.
const PATIENCE: Duration = Duration::from_secs(3600);

/// The consumer of `crossdock handoff`, which starts it
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    carrier: Carrier,
}

#[derive(clap::Subcommand)]
enum Carrier {
    /// Arrays come through one crossdock channel and go back through another
    Array { dtype: DType, there: String, back: String, cpu: Option<usize> },
    /// Arrays come serialised through standard input
    Bytes { dtype: DType },
}

/// What the producer asks for. The answer `()` says that the consumer waits for arrays.
#[derive(Serialize, Deserialize)]
pub(super) enum Request {
    /// Give so many arrays back at once; answered by the moments of having and of giving each.
    Hop { count: u32, is_awake: bool },
    /// Read so many arrays before giving them back; answered by a [`Reading`].
    Read { count: u32 },
}

#[derive(Serialize, Deserialize)]
pub(super) struct Reading {
    /// When the sum of each was known.
    pub(super) read_ns: Vec<u64>,
    /// Of the last one.
    pub(super) summary: Summary,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    match &args.carrier {
        Carrier::Array { dtype, there, back, cpu } => {
            with_dtype!(*dtype, T => arrays::<T>(there, back, *cpu))
        }
        Carrier::Bytes { dtype } => with_dtype!(*dtype, T => queue::consume::<T>()),
    }
}

fn arrays<T: Sample>(there: &str, back: &str, cpu: Option<usize>) -> Result<()> {
    let (rx, tx) = (Receiver::<ArrayMut<T>>::open(there)?, Sender::<ArrayMut<T>>::open(back)?);
    let ends = Ends::new(tx, rx, PATIENCE, cpu);
    answer(&())?;
    while let Some(request) = request()? {
        match request {
            Request::Hop { count, is_awake } => {
                let manner = if is_awake { Manner::Awake } else { Manner::Asleep };
                answer(&hop(&ends, count, manner)?)?;
            }
            Request::Read { count } => {
                if let Some(reading) = read(&ends, count)? {
                    answer(&reading)?;
                }
            }
        }
    }
    Ok(())
}

fn hop<T: Sample>(ends: &Ends<T>, count: u32, manner: Manner) -> Result<Vec<(u64, u64)>> {
    let mut stamps = Vec::with_capacity(count as usize);
    answer(&())?;
    for _ in 0..count {
        let array = ends.recv(manner)?;
        let got = now_ns();
        stamps.push((got, ends.send(array, manner)?));
    }
    Ok(stamps)
}

fn read<T: Sample>(ends: &Ends<T>, count: u32) -> Result<Option<Reading>> {
    let mut read_ns = Vec::with_capacity(count as usize);
    let mut summary = None;
    answer(&())?;
    for _ in 0..count {
        let array = ends.recv(Manner::Asleep)?;
        let sum = T::sum(&array);
        read_ns.push(now_ns());
        summary = Some(Summary::with_sum(&array, sum));
        ends.tx.try_send(array)?;
    }
    Ok(summary.map(|summary| Reading { read_ns, summary }))
}

/// The producer's next request; `None` when it has gone.
pub(super) fn request<T: DeserializeOwned>() -> Result<Option<T>> {
    frame::read(&mut stdin().lock()).map_err(Failure::os("the consumer cannot read its requests"))
}

pub(super) fn answer(value: &impl Serialize) -> Result<()> {
    frame::write(&mut stdout().lock(), value, 64).map_err(Failure::os("the consumer cannot answer"))
}
