//! Lending: accounts wider than a run live in the control lane, which lends slices of them to lanes.
//!
//! What is out is what was lent and is not back. Control lends no more than the limit that the rules set, less what is
//! out; a lane reserves no more than its slice. So the sum of all lanes never exceeds the limit, whoever asks when.
//! Both figures only ever grow, and a lane counts a part as gone before control counts it as back: a crash between
//! the two loses room until the next start, and never makes any.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::account::{Account, Amount};
use crate::event::{SlicesFreed, SlicesLent, SlicesReturned};
use crate::state::State;
use crate::time::Time;
use crate::window::AccountId;

/// Snapshots of the law share what did not change, by this many parts.
const PARTS: usize = 512;

/// What one lane holds of one account, as control sees it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    pub lent: Amount,
    pub freed: Amount,
}

impl Slice {
    pub fn out(&self) -> Amount {
        self.lent.minus(&self.freed)
    }
}

type Slices = BTreeMap<u16, Slice>;

/// Accounts are asked for several times in each decision, and the configuration names them: a quick hash will do.
pub type ByAccount<T> = HashMap<AccountId, T, FixedState>;

/// Every account of which something was lent.
#[derive(Clone, Debug, Default)]
pub struct Lending {
    parts: Vec<Arc<ByAccount<Slices>>>,
}

fn part_of(account: &AccountId) -> usize {
    usize::try_from(FixedState::default().hash_one(account) % PARTS as u64).unwrap_or(0)
}

impl Lending {
    pub fn slice(&self, account: &AccountId, lane: u16) -> Option<&Slice> {
        self.slices(account)?.get(&lane)
    }

    fn slices(&self, account: &AccountId) -> Option<&Slices> {
        self.parts.get(part_of(account))?.get(account)
    }

    /// What all lanes but this one hold.
    pub fn out_elsewhere(&self, account: &AccountId, lane: u16) -> Amount {
        let others = self.slices(account).into_iter().flatten().filter(|(other, _)| **other != lane);
        others.fold(Amount::default(), |sum, (_, slice)| sum.plus(&slice.out()))
    }

    /// What was lent to this lane, and what all others hold.
    pub fn split(&self, account: &AccountId, lane: u16) -> (Amount, Amount) {
        let (mut lent, mut elsewhere) = (Amount::default(), Amount::default());
        for (one, slice) in self.slices(account).into_iter().flatten() {
            if *one == lane {
                lent = slice.lent.clone();
            } else {
                elsewhere = elsewhere.plus(&slice.out());
            }
        }
        (lent, elsewhere)
    }

    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn change(&mut self, account: &AccountId, lane: u16, at: Time, change: impl FnOnce(&mut Slice)) {
        self.parts.resize_with(PARTS, Default::default);
        let Some(part) = self.parts.get_mut(part_of(account)) else { return };
        let part = Arc::make_mut(part);
        part.retain(|known, _| !known.is_over(at));
        change(part.entry(account.clone()).or_default().entry(lane).or_default());
    }

    pub(crate) fn lent(&mut self, at: Time, lent: &SlicesLent) {
        for slice in &lent.slices {
            self.change(&slice.account, lent.to, at, |known| known.lent = known.lent.plus(&slice.amount));
        }
    }

    /// Freed counts from the start of the account, so that saying it twice changes nothing.
    pub(crate) fn freed(&mut self, at: Time, freed: &SlicesFreed) {
        for slice in freed.slices.iter().filter(|slice| !slice.account.is_over(at)) {
            self.change(&slice.account, freed.from, at, |known| known.freed = known.freed.max(&slice.amount));
        }
    }
}

impl Serialize for Lending {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_map(self.parts.iter().flat_map(|part| part.iter()).collect::<BTreeMap<_, _>>())
    }
}

impl<'de> Deserialize<'de> for Lending {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Lending, D::Error> {
        let all = BTreeMap::<AccountId, Slices>::deserialize(input)?;
        let mut parts: Vec<ByAccount<Slices>> = vec![ByAccount::default(); PARTS];
        for (account, slices) in all {
            if let Some(part) = parts.get_mut(part_of(&account)) {
                part.insert(account, slices);
            }
        }
        Ok(Lending { parts: parts.into_iter().map(Arc::new).collect() })
    }
}

/// An amount of one account.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Part {
    pub account: AccountId,
    pub amount: Amount,
}

/// What a lane is short of, in one account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Need {
    pub account: AccountId,
    pub missing: Amount,
    /// What had been lent to the lane when it said so.
    pub seen: Amount,
}

/// One lane's part in an account wider than a run.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    pub account: Account,
    /// All that it ever gave back.
    pub returned: Amount,
    /// The highest threshold that was crossed here, in percent.
    pub crossed: u64,
}

impl State {
    /// A reservation takes from each of these accounts.
    pub(crate) fn shares_reserve(&mut self, at: Time, accounts: &[AccountId], amount: &Amount) {
        for account in accounts {
            self.share(at, account).account.reserve(amount);
        }
    }

    /// Ends a reservation in the windows it was made in; of a window that is long over nobody asks any more.
    pub(crate) fn shares_post(&mut self, accounts: &[AccountId], reserved: &Amount, used: &Amount) {
        for account in accounts {
            if let Some(share) = self.shares.get_mut(account) {
                share.account.post(reserved, used);
            }
        }
    }

    pub(crate) fn shares_return(&mut self, at: Time, returned: &SlicesReturned) {
        for part in &returned.slices {
            let share = self.share(at, &part.account);
            share.returned = share.returned.max(&part.amount);
        }
    }

    /// A new account takes the place of those that are over: two for one, so that none stays.
    pub(crate) fn share(&mut self, at: Time, account: &AccountId) -> &mut Share {
        if !self.shares.contains_key(account) {
            for _ in 0..2 {
                let Some((until, over)) = self.share_ends.first().cloned() else { break };
                if until > at {
                    break;
                }
                self.share_ends.remove(&(until, over.clone()));
                self.shares.remove(&over);
            }
            self.share_ends.insert((account.kept_until(), account.clone()));
        }
        self.shares.entry(account.clone()).or_default()
    }
}
