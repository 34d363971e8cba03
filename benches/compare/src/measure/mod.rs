//! What is measured, one file a row of the goals.

pub(crate) mod carry;
mod hops;
mod map;
mod p1;
mod p10;
mod p11;
mod p2;
mod p3;
mod p4;
mod p5;
mod p6;
mod p7;
mod p8;
mod p9;
mod turns;
mod values;

use crate::Result;
use crate::bench::Bench;
use crate::table::Row;

/// A measure: a goal's number, what it asks, and how to find out.
pub(crate) struct Measure {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) run: fn(&Bench) -> Result<Vec<Row>>,
}

/// Every measure, in the order of the goals.
pub(crate) const MEASURES: &[Measure] = &[
    p1::MEASURE,
    p2::MEASURE,
    p3::MEASURE,
    p4::MEASURE,
    p5::MEASURE,
    p6::MEASURE,
    p7::MEASURE,
    p8::MEASURE,
    p9::MEASURE,
    p10::MEASURE,
    p11::MEASURE,
    map::MEASURE,
    values::MEASURE,
];

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;
