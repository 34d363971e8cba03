//! How the workers of `bank` move money, check the sum, and repair what the dead have left.
//!
//! All locks are taken in the order of the accounts' numbers. Who finds damage while it holds some lets go
//! of all before it repairs, because the accounts to repair may come earlier in the order.

use super::vault::{Entry, Found, Vault};
use super::{ACCOUNTS, TOTAL};
use crate::campaign::rng::Rng;
use crate::campaign::{Violation, ensure};
use crossdock::sync::{LockTimeoutError, MutexGuard};
use std::time::{Duration, Instant};

/// How long a lock may take. Whoever holds one works for microseconds; the dead are found in 25 ms each.
const LOCK_MAX: Duration = Duration::from_secs(10);
/// Accounts that half of all transfers use, so that there is something to wait for.
const BUSY_ACCOUNTS: u64 = 4;

/// What a process has done.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) transfers: u64,
    pub(crate) audits: u64,
    /// Half-made transfers undone.
    pub(crate) restored: u64,
    /// Of these, found by the pid that came with the poison.
    pub(crate) found_by_pid: u64,
    /// Poisoned accounts that were in order.
    pub(crate) cleared: u64,
    pub(crate) wait_max: Duration,
}

type Guard<'v> = MutexGuard<'v, i64>;

/// A lock that was asked for.
enum Outcome<'v> {
    /// It is held, and the account is in order.
    Held(Guard<'v>),
    /// It is not held: the account is half changed.
    Damaged(Found),
}

/// A process that uses the accounts.
pub(crate) struct Teller<'v> {
    vault: &'v Vault,
    rng: Rng,
    /// Takes whatever it finds for sound.
    is_careless: bool,
    pub(crate) tally: Tally,
}

impl<'v> Teller<'v> {
    pub(crate) fn new(vault: &'v Vault, rng: Rng, is_careless: bool) -> Self {
        Self { vault, rng, is_careless, tally: Tally::default() }
    }

    pub(crate) fn one_in(&mut self, times: u64) -> bool {
        self.rng.one_in(times)
    }

    /// Makes a journal this process's own, after it has repaired what its former owner has left.
    pub(crate) fn adopt(&mut self, worker: usize) -> Result<(), Violation> {
        let journal = self.vault.journal(worker)?;
        if self.is_careless {
            journal.end();
        }
        self.settle(worker)?;
        journal.adopt();
        Ok(())
    }

    /// Repairs what a journal whose owner is dead says is half changed.
    pub(crate) fn settle(&mut self, worker: usize) -> Result<(), Violation> {
        let journal = self.vault.journal(worker)?;
        while journal.entry().is_some() {
            self.repair(Found { journal: worker, is_by_pid: false })?;
        }
        Ok(())
    }

    /// Moves some money, by way of the journal of `worker`.
    pub(crate) fn transfer(&mut self, worker: usize) -> Result<(), Violation> {
        let journal = self.vault.journal(worker)?;
        let (from, to) = self.pick_two();
        let mut guards = self.lock_all([from.min(to), from.max(to)].into_iter())?;
        if from > to {
            guards.reverse();
        }
        let [from_balance, to_balance] = &mut guards[..] else {
            return Err(Violation("two accounts have two guards".to_owned()));
        };
        let (from_before, to_before) = (**from_balance, **to_balance);
        // Nobody owes anything; a careless worker may have left a negative balance.
        let amount = self.rng.below(from_before.max(0) as u64 + 1) as i64;
        self.linger();
        journal.begin(Entry { from, to, from_before, to_before });
        self.linger();
        **from_balance = from_before - amount;
        self.linger();
        **to_balance = to_before + amount;
        self.linger();
        journal.end();
        self.linger();
        self.tally.transfers += 1;
        Ok(())
    }

    /// Locks all accounts and checks that no money is lost and none was made.
    pub(crate) fn audit(&mut self) -> Result<(), Violation> {
        let guards = self.lock_all(0..ACCOUNTS)?;
        let sum: i64 = guards.iter().map(|balance| **balance).sum();
        ensure(sum == TOTAL, || format!("the sum of all accounts is {sum}, not {TOTAL}"))?;
        let below = guards.iter().position(|balance| **balance < 0);
        ensure(below.is_none(), || format!("account {below:?} has less than nothing"))?;
        self.tally.audits += 1;
        Ok(())
    }

    /// Two different accounts.
    fn pick_two(&mut self) -> (usize, usize) {
        let among = if self.rng.one_in(2) { BUSY_ACCOUNTS } else { ACCOUNTS as u64 };
        let from = self.rng.below(among);
        let to = (from + 1 + self.rng.below(among - 1)) % among;
        (from as usize, to as usize)
    }

    /// Locks accounts, which are in order, and repairs what is found damaged.
    fn lock_all(
        &mut self,
        accounts: impl Iterator<Item = usize> + Clone,
    ) -> Result<Vec<Guard<'v>>, Violation> {
        loop {
            match self.try_lock_all(accounts.clone())? {
                Ok(guards) => return Ok(guards),
                Err(found) => self.repair(found)?,
            }
        }
    }

    /// Locks accounts, or none of them if one is half changed.
    fn try_lock_all(
        &mut self,
        accounts: impl Iterator<Item = usize>,
    ) -> Result<Result<Vec<Guard<'v>>, Found>, Violation> {
        let mut guards = Vec::new();
        for account in accounts {
            match self.lock(account)? {
                Outcome::Held(guard) => guards.push(guard),
                Outcome::Damaged(found) => return Ok(Err(found)),
            }
            if guards.len() <= 2 {
                self.linger();
            }
        }
        Ok(Ok(guards))
    }

    /// Locks an account. If it is poisoned, but in order, the poison is cleared.
    fn lock(&mut self, account: usize) -> Result<Outcome<'v>, Violation> {
        let (guard, poisoned_by) = self.lock_anyway(account)?;
        let Some(pid) = poisoned_by else { return Ok(Outcome::Held(guard)) };
        if !self.is_careless
            && let Some(found) = self.vault.find(account, pid)
        {
            return Ok(Outcome::Damaged(found));
        }
        self.linger();
        self.vault.account(account)?.clear_poison();
        self.tally.cleared += 1;
        Ok(Outcome::Held(guard))
    }

    /// Locks an account, poisoned or not. If it is, says by whom, as far as that is known.
    fn lock_anyway(
        &mut self,
        account: usize,
    ) -> Result<(Guard<'v>, Option<Option<u32>>), Violation> {
        let mutex = self.vault.account(account)?;
        let start = Instant::now();
        let locked = mutex.lock_timeout(LOCK_MAX);
        self.tally.wait_max = self.tally.wait_max.max(start.elapsed());
        match locked {
            Ok(guard) => Ok((guard, None)),
            Err(LockTimeoutError::Poisoned(poisoned)) => {
                let pid = poisoned.owner_pid();
                ensure(pid != Some(std::process::id()), || {
                    format!("account {account} says that this process is dead")
                })?;
                Ok((poisoned.into_inner(), Some(pid)))
            }
            Err(error) => Err(Violation(format!("account {account}: {error}"))),
        }
    }

    /// Undoes a half-made transfer. It can be killed at any point: the next one does it all again.
    ///
    /// Does nothing if somebody else was faster.
    fn repair(&mut self, found: Found) -> Result<(), Violation> {
        let journal = self.vault.journal(found.journal)?;
        let Some(entry) = journal.entry() else { return Ok(()) };
        let Entry { from, to, from_before, to_before } = entry;
        let (low, high) = (from.min(to), from.max(to));
        let (mut low_balance, _) = self.lock_anyway(low)?;
        self.linger();
        let (mut high_balance, _) = self.lock_anyway(high)?;
        self.linger();
        if journal.entry() != Some(entry) {
            return Ok(());
        }
        let (low_before, high_before) =
            if from < to { (from_before, to_before) } else { (to_before, from_before) };
        *low_balance = low_before;
        self.linger();
        *high_balance = high_before;
        self.linger();
        journal.end();
        // From here on the poison is all that is left, and who finds it clears it.
        self.linger();
        self.vault.account(low)?.clear_poison();
        self.linger();
        self.vault.account(high)?.clear_poison();
        self.tally.restored += 1;
        self.tally.found_by_pid += u64::from(found.is_by_pid);
        Ok(())
    }

    /// Now and then makes the moment between two steps longer, so that it is one to be killed in.
    fn linger(&mut self) {
        match self.rng.below(4) {
            0 => std::thread::yield_now(),
            1 => (0..self.rng.below(2000)).for_each(|_| std::hint::spin_loop()),
            _ => {}
        }
    }
}
