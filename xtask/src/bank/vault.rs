//! What the workers of `bank` share: accounts, and a journal for each worker.
//!
//! # Invariants
//!
//! 1. While a journal is active, both of its accounts are locked by its owner, or were when it died. They
//!    stay poisoned until the journal is inactive again.
//! 2. Whoever locks a poisoned account uses it only when no active journal names it. So at most one active
//!    journal names an account.
//! 3. A process that holds an account and finds it in an active journal knows that the owner of that journal
//!    is dead, by invariant 1. Only a process that holds both accounts ends a journal that is not its own.
//! 4. The balances in an active journal are right: they were read under both locks, and by invariants 1 and 2
//!    nobody else changes the accounts before the journal is ended. To restore them twice does no harm.

use super::{ACCOUNTS, BALANCE, WORKERS};
use crate::campaign::{Violation, ensure};
use crossdock::sync::Mutex;
use crossdock::{Atomic, Error, ShmSafe, Value};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::fence;

/// What a worker is about to change.
#[derive(ShmSafe)]
#[repr(C)]
pub(crate) struct Journal {
    /// 1 while the accounts may be half changed.
    active: Atomic<u32>,
    /// Process id of the worker.
    owner: Atomic<u32>,
    from: Atomic<u32>,
    to: Atomic<u32>,
    from_before: Atomic<i64>,
    to_before: Atomic<i64>,
}

/// A transfer: two accounts and what they had before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) from_before: i64,
    pub(crate) to_before: i64,
}

impl Entry {
    fn names(&self, account: usize) -> bool {
        self.from == account || self.to == account
    }
}

impl Journal {
    fn new() -> Self {
        Self {
            active: Atomic::new(0),
            owner: Atomic::new(0),
            from: Atomic::new(0),
            to: Atomic::new(0),
            from_before: Atomic::new(0),
            to_before: Atomic::new(0),
        }
    }

    /// Writes down what is about to be changed. The caller holds both accounts.
    pub(crate) fn begin(&self, entry: Entry) {
        self.from.store(entry.from as u32, Relaxed);
        self.to.store(entry.to as u32, Relaxed);
        self.from_before.store(entry.from_before, Relaxed);
        self.to_before.store(entry.to_before, Relaxed);
        self.active.store(1, Release);
        // Release keeps what is above it above, but lets the change of the balances move up over it.
        fence(SeqCst);
    }

    /// The accounts are in order. The caller holds them both.
    pub(crate) fn end(&self) {
        self.active.store(0, Release);
    }

    /// What is half changed, if anything is. Only who knows that the owner is dead, or holds an account that
    /// the entry names, can rely on it.
    pub(crate) fn entry(&self) -> Option<Entry> {
        (self.active.load(Acquire) != 0).then(|| Entry {
            from: self.from.load(Relaxed) as usize,
            to: self.to.load(Relaxed) as usize,
            from_before: self.from_before.load(Relaxed),
            to_before: self.to_before.load(Relaxed),
        })
    }

    /// The journal belongs to this process from now on.
    pub(crate) fn adopt(&self) {
        self.owner.store(std::process::id(), Release);
    }
}

/// An active journal that names an account.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) journal: usize,
    /// The journal is that of the process that the poison names.
    pub(crate) is_by_pid: bool,
}

/// All of it, open.
pub(crate) struct Vault {
    accounts: Vec<Value<Mutex<i64>>>,
    journals: Value<[Journal]>,
}

impl Vault {
    /// Opens everything; makes what is not there. Nothing of it goes with its last user: a process that got
    /// as far as here has made all of it stay, before it changes any.
    pub(crate) fn open() -> Result<Self, Violation> {
        let make = |account| {
            let account = Value::open_or_create(&name_of(account), Mutex::new(BALANCE))?;
            account.persist()?;
            Ok::<_, Error>(account)
        };
        let accounts = (0..ACCOUNTS).map(make).collect::<Result<_, _>>()?;
        let journals =
            Value::<[Journal]>::open_or_create_slice("journals", WORKERS, |_| Journal::new())?;
        journals.persist()?;
        Ok(Self { accounts, journals })
    }

    /// Opens everything, which is there.
    pub(crate) fn open_existing() -> Result<Self, Violation> {
        let accounts = (0..ACCOUNTS)
            .map(|account| Value::open(&name_of(account)))
            .collect::<Result<_, _>>()?;
        Ok(Self { accounts, journals: Value::open("journals")? })
    }

    pub(crate) fn account(&self, account: usize) -> Result<&Mutex<i64>, Violation> {
        let account = self.accounts.get(account).ok_or_else(|| format!("no account {account}"));
        account.map(|account| &**account).map_err(Violation)
    }

    pub(crate) fn journal(&self, worker: usize) -> Result<&Journal, Violation> {
        self.journals.get(worker).ok_or_else(|| Violation(format!("no journal {worker}")))
    }

    /// Finds the active journal that names an account, which the caller holds.
    ///
    /// The poison says who died last. That need not be the owner of the journal: it may have died in the
    /// middle of the repair. And the pid may not be known. So the account decides.
    pub(crate) fn find(&self, account: usize, pid: Option<u32>) -> Option<Found> {
        let names_it =
            |journal: &Journal| journal.entry().is_some_and(|entry| entry.names(account));
        let is_by_pid = |journal: &Journal| Some(journal.owner.load(Acquire)) == pid;
        let journal = self.journals.iter().position(names_it)?;
        Some(Found { journal, is_by_pid: is_by_pid(&self.journals[journal]) })
    }

    /// Whether nothing is half changed or poisoned. The caller is alone.
    pub(crate) fn check_settled(&self) -> Result<(), Violation> {
        let active = self.journals.iter().position(|journal| journal.entry().is_some());
        ensure(active.is_none(), || format!("journal {active:?} is still active"))?;
        let poisoned = self.accounts.iter().position(|account| account.is_poisoned());
        ensure(poisoned.is_none(), || format!("account {poisoned:?} is still poisoned"))
    }
}

fn name_of(account: usize) -> String {
    format!("account-{account}")
}
