//! Shows: a process is killed while it holds a lock, and the next one is told, puts the data right, goes on.
//! Run:   cargo run -p crossdock-examples --example locks
//! Prints what each process does with the two balances, whose sum is always 100.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use crossdock::sync::{Event, Mutex};
use crossdock::{ShmSafe, Value};
use std::{env, error::Error, process::Command, thread};

/// Two processes see this: a struct of locks and numbers, by one name.
#[derive(ShmSafe)]
#[repr(C)]
struct Bank {
    balances: Mutex<[i64; 2]>,
    half_done: Event,
}

fn main() -> Result<(), Box<dyn Error>> {
    if env::args().nth(1).as_deref() == Some("clumsy") {
        let bank = Value::<Bank>::open("bank")?;
        let mut balances = bank.balances.lock().map_err(crossdock::Error::from)?;
        balances[0] -= 30;
        println!("clumsy:   took 30 from the first, and is killed before the second gets it");
        bank.half_done.set();
        loop {
            thread::park();
        }
    }
    let bank = Bank { balances: Mutex::new([60, 40]), half_done: Event::new() };
    let bank = Value::create("bank", bank)?;
    let mut clumsy = Command::new(env::current_exe()?).arg("clumsy").spawn()?;
    bank.half_done.wait();
    clumsy.kill()?;
    let balances = bank.balances.lock().unwrap_or_else(|poisoned| {
        println!("survivor: {poisoned}");
        let mut balances = poisoned.into_inner();
        println!("survivor: finds {balances:?}");
        balances[1] = 100 - balances[0];
        bank.balances.clear_poison();
        balances
    });
    println!("survivor: goes on with {balances:?}, the sum is {}", balances.iter().sum::<i64>());
    clumsy.wait()?;
    Ok(())
}
