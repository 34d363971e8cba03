//! Shows: k-means on one shared array; a pool's workers read their parts of it where it lies, in every round.
//! Run:   cargo run --release -p crossdock-examples --example kmeans -- POINTS.npy [CLUSTERS [ROUNDS [WORKERS]]]
//! Prints the centres and how many points each has, as JSON. kmeans.py does the same with numpy; beside_python.py runs both,
//! compares the results and the times.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use crossdock::Array;
use crossdock::npy::NpyFile;
use crossdock::process::{self, Pool};
use std::error::Error;
use std::ops::Range;
use std::thread::available_parallelism;

/// Parts of the points for each worker.
const PARTS_PER_WORKER: usize = 4;

/// What a part adds to each cluster: the sums of its points, cluster after cluster, and their numbers.
type Sums = (Vec<f64>, Vec<u64>);

/// Gives each point of a part to the centre that is nearest. One step of Lloyd's algorithm (S. P. Lloyd, "Least squares
/// quantization in PCM", 1982).
fn assign((points, centres, part): (Array<f64>, Vec<f64>, Range<usize>)) -> Sums {
    let axes = points.shape()[1];
    let mut sums = (vec![0.0; centres.len()], vec![0; centres.len() / axes]);
    for point in points[part.start * axes..part.end * axes].chunks_exact(axes) {
        let mut nearest = (f64::INFINITY, 0);
        for (number, centre) in centres.chunks_exact(axes).enumerate() {
            let distance = point.iter().zip(centre).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
            if distance < nearest.0 {
                nearest = (distance, number);
            }
        }
        let number = nearest.1;
        for (sum, x) in sums.0[number * axes..][..axes].iter_mut().zip(point) {
            *sum += x;
        }
        sums.1[number] += 1;
    }
    sums
}

fn main() -> Result<(), Box<dyn Error>> {
    process::init(); // the first line of main

    let mut arguments = std::env::args().skip(1);
    let path = arguments
        .next()
        .ok_or("which points? (kmeans POINTS.npy [CLUSTERS [ROUNDS [WORKERS]]])")?;
    let mut number = |otherwise: usize| arguments.next().map_or(Ok(otherwise), |text| text.parse());
    let (clusters, rounds) = (number(16)?, number(10)?);
    let workers = number(available_parallelism()?.get())?;

    let points = NpyFile::open(&path)?.read::<f64>()?.freeze();
    let &[count, axes] = points.shape() else { return Err("the points must have two axes".into()) };
    if clusters == 0 || clusters > count {
        return Err(format!("{count} points make no {clusters} clusters").into());
    }
    let parts = workers * PARTS_PER_WORKER;
    let pool = Pool::new(workers)?;
    let mut centres = points[..clusters * axes].to_vec();
    let mut sizes = vec![0; clusters];
    for _ in 0..rounds {
        // A handle of all points goes to each worker, and no point.
        let jobs = (0..parts).map(|part| {
            (points.clone(), centres.clone(), count * part / parts..count * (part + 1) / parts)
        });
        let mut totals = vec![0.0; centres.len()];
        sizes.fill(0);
        for (sums, counts) in pool.calls().chunk_size(1).map(assign, jobs)? {
            totals.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
            sizes.iter_mut().zip(counts).for_each(|(size, count)| *size += count);
        }
        for ((centre, total), size) in
            centres.chunks_exact_mut(axes).zip(totals.chunks_exact(axes)).zip(&sizes)
        {
            if *size > 0 {
                centre.iter_mut().zip(total).for_each(|(x, sum)| *x = sum / *size as f64);
            }
        }
    }
    let centres: Vec<_> = centres.chunks_exact(axes).map(|centre| format!("{centre:?}")).collect();
    println!("{{\"sizes\": {sizes:?}, \"centres\": [{}]}}", centres.join(", "));
    Ok(())
}
