//! Shows: a large text is counted by a pool; the text is one array that all workers read, and their results are arrays.
//! Run:   cargo run --release -p crossdock-examples --example words -- FILE [WORKERS]
//! Prints the number of words and the most frequent ones, as JSON. words.py does the same in Python; beside_python.py
//! runs both, compares the results and the times.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use crossdock::process::{self, Pool};
use crossdock::{Array, ArrayMut};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::HashMap;
use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::thread::available_parallelism;

/// Parts of the text for each worker, so that the last ones end at about the same time.
const PARTS_PER_WORKER: usize = 8;
const SHOWN: usize = 10;

/// What the workers give back: their words, each with a line end behind it, and how often each was found.
type Counts = (Array<u8>, Array<u64>);

/// Counts the words that begin in a part of the text: runs of ASCII letters, in lower case.
fn count((text, part): (Array<u8>, Range<usize>)) -> crossdock::Result<Counts> {
    let is_letter = |at: usize| text.get(at).is_some_and(u8::is_ascii_alphabetic);
    let mut counts = HashMap::<Vec<u8>, u64>::new();
    let mut word = Vec::new();
    let mut at = part.start;
    // One that began before belongs to the part before.
    while at > 0 && is_letter(at - 1) && is_letter(at) {
        at += 1;
    }
    while at < part.end || !word.is_empty() {
        if is_letter(at) {
            word.push(text[at].to_ascii_lowercase());
        } else if !word.is_empty() {
            if let Some(count) = counts.get_mut(&word) {
                *count += 1;
            } else {
                counts.insert(word.clone(), 1);
            }
            word.clear();
        }
        at += 1;
    }
    let (mut words, mut numbers) = (Vec::new(), Vec::new());
    for (word, count) in counts {
        words.extend_from_slice(&word);
        words.push(b'\n');
        numbers.push(count);
    }
    Ok((Array::from_slice(&words)?, Array::from_slice(&numbers)?))
}

/// A file as an array that other processes can map.
fn read(path: &str) -> Result<Array<u8>, Box<dyn Error>> {
    let mut file = File::open(path)?;
    let bytes = usize::try_from(file.metadata()?.len())?;
    let mut text = ArrayMut::uninit(bytes)?;
    file.read_exact(&mut text)?;
    Ok(text.freeze())
}

fn main() -> Result<(), Box<dyn Error>> {
    process::init(); // the first line of main

    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("which file? (words FILE [WORKERS])")?;
    let workers = match arguments.next() {
        Some(workers) => workers.parse()?,
        None => available_parallelism()?.get(),
    };

    let text = read(&path)?;
    let parts = workers * PARTS_PER_WORKER;
    let cut = |part: usize| text.len() * part / parts;
    let jobs = (0..parts).map(|part| (text.clone(), cut(part)..cut(part + 1)));

    let bar = ProgressBar::new(parts as u64);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} parts, {elapsed}")?);
    let shown = bar.clone();
    let pool = Pool::new(workers)?;
    let calls = pool.calls().chunk_size(1).progress(move |done, _| shown.set_position(done));
    let mut totals = HashMap::<Vec<u8>, u64>::new();
    for counts in calls.map(count, jobs)? {
        let (words, numbers) = counts?;
        for (word, number) in words.split(|byte| *byte == b'\n').zip(numbers.iter()) {
            *totals.entry(word.to_vec()).or_default() += number;
        }
    }
    bar.finish_and_clear();

    let total: u64 = totals.values().sum();
    let mut most: Vec<_> = totals.iter().collect();
    most.sort_unstable_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let most = most.into_iter().take(SHOWN);
    let most: Vec<_> =
        most.map(|(word, n)| format!("[{:?}, {n}]", String::from_utf8_lossy(word))).collect();
    println!(
        "{{\"words\": {total}, \"different\": {}, \"most\": [{}]}}",
        totals.len(),
        most.join(", ")
    );
    Ok(())
}
