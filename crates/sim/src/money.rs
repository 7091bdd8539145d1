//! Money and counts, reckoned from the log alone and without the kernel's own accounts.

use std::collections::{BTreeMap, BTreeSet};

use kernel::account::{Amount, Currency, Limits};
use kernel::contract::Effect;
use kernel::event::{CallDecided, CallFinished, Charged, RunExtended, RunOpened};
use kernel::id::{CallId, Mark, RunId};
use kernel::rules::Rules;
use kernel::time::Time;
use kernel::window::AccountId;

/// One run, as the log tells it.
#[derive(Default)]
struct RunBook {
    agent: String,
    parent: Option<RunId>,
    is_open: bool,
    loan: Option<Limits>,
    extensions: Vec<(Amount, Time)>,
    /// By calls of its own.
    posted: Amount,
    by_tool: BTreeMap<String, u64>,
    keys: BTreeSet<Mark>,
}

/// A permitted call without a known end.
struct Held {
    run: RunId,
    amount: Amount,
    accounts: Vec<AccountId>,
}

#[derive(Default)]
pub(crate) struct Books {
    runs: BTreeMap<RunId, RunBook>,
    held: BTreeMap<CallId, Held>,
    /// What was posted to accounts wider than a run.
    wide: BTreeMap<AccountId, Amount>,
}

impl Books {
    pub(crate) fn opened(&mut self, opened: &RunOpened, rules: &Rules) -> Result<(), String> {
        let run = opened.run;
        if let Some(parent) = opened.parent {
            let house = &rules.book.house;
            let above = self.runs.get(&parent).filter(|above| above.is_open);
            if above.is_none_or(|above| above.agent != opened.agent) {
                return Err(format!("{run} was opened under {parent}, which is closed or another's"));
            }
            let depth = self.above(parent).len() as u64;
            if depth > house.depth_max {
                return Err(format!("{run} is {depth} runs deep, and {} are the most", house.depth_max));
            }
            let children = self.runs.values().filter(|child| child.parent == Some(parent) && child.is_open);
            let children = children.count() as u64;
            if children >= house.children_max {
                return Err(format!("{run} is one child too many of {parent}, which has {children}"));
            }
        }
        let book = RunBook {
            agent: opened.agent.clone(),
            parent: opened.parent,
            is_open: true,
            loan: opened.budget.clone(),
            ..RunBook::default()
        };
        self.runs.insert(run, book);
        Ok(())
    }

    pub(crate) fn closed(&mut self, run: RunId) -> Result<(), String> {
        let outlives = |(_, child): &(&RunId, &RunBook)| child.parent == Some(run) && child.is_open;
        if let Some((child, _)) = self.runs.iter().find(outlives) {
            return Err(format!("{child} outlives {run}, which it was opened under"));
        }
        match self.runs.get_mut(&run) {
            Some(book) if book.is_open => {
                book.is_open = false;
                Ok(())
            }
            _ => Err(format!("{run} was closed twice, or never opened")),
        }
    }

    pub(crate) fn extended(&mut self, extended: &RunExtended) {
        if let Some(book) = self.runs.get_mut(&extended.run) {
            book.extensions.push((extended.amount.clone(), extended.until));
        }
    }

    /// What has been spent beside calls counts, whatever is left.
    pub(crate) fn charged(&mut self, charged: &Charged) {
        if let Some(book) = self.runs.get_mut(&charged.run) {
            book.posted = book.posted.plus(&charged.amount);
        }
        self.post(&charged.accounts, &charged.amount);
    }

    fn post(&mut self, accounts: &[AccountId], amount: &Amount) {
        for account in accounts {
            let posted = self.wide.entry(account.clone()).or_default();
            *posted = posted.plus(amount);
        }
    }

    /// A permitted call: priced as its contract says, within every limit of its own day, once per key.
    pub(crate) fn allowed(&mut self, at: Time, decided: &CallDecided, rules: &Rules) -> Result<(), String> {
        let (call, run) = (decided.call, decided.run);
        let price = price(decided, rules)?;
        let Some(book) = self.runs.get_mut(&run).filter(|book| book.is_open && book.agent == decided.agent)
        else {
            return Err(format!("{call} was allowed in {run}, which is closed or another's"));
        };
        if let Some(key) = decided.key
            && !book.keys.insert(key)
        {
            return Err(format!("{call} was allowed under an idempotency key that had been used before"));
        }
        let count = book.by_tool.entry(decided.tool.clone()).or_default();
        *count += 1;
        let lines = rules.agent(&decided.agent).map(|manifest| manifest.may.as_slice()).unwrap_or_default();
        let lines = lines.iter().filter(|may| may.tool == decided.tool);
        let most = lines.filter_map(|may| may.calls_per_run_max).min().unwrap_or(u64::MAX);
        // An observed agent is let through, with a `would`.
        if *count > most && decided.would.is_empty() {
            return Err(format!("{call} is one call of {} too many", decided.tool));
        }
        let wide = rules.accounts(&decided.agent, at);
        if !decided.accounts.iter().eq(wide.iter().map(|account| &account.id)) {
            return Err(format!("{call} took from {:?}, and not from all of {wide:?}", decided.accounts));
        }
        let held = Held { run, amount: price.clone(), accounts: decided.accounts.clone() };
        self.held.insert(call, held);
        for id in self.above(run) {
            let within = within(&price, &self.taken(id), &self.limits(id, rules, at));
            within.map_err(|why| format!("{call} overspends {id}: {why}"))?;
        }
        for account in wide {
            let taken = self.taken_of(&account.id);
            let within = within(&price, &taken, account.limits);
            within.map_err(|why| format!("{call} overspends {}: {why}", account.id))?;
        }
        Ok(())
    }

    /// A known end frees what was reserved and posts what was used, which is never more.
    pub(crate) fn finished(&mut self, finished: &CallFinished) -> Result<(), String> {
        let Some(Held { run, amount, accounts }) = self.held.remove(&finished.call) else {
            return Err(format!("{} ended twice, or was never allowed", finished.call));
        };
        if !finished.posted.fits(&amount) {
            return Err(format!("{} posted more than it reserved", finished.call));
        }
        if let Some(book) = self.runs.get_mut(&run) {
            book.posted = book.posted.plus(&finished.posted);
        }
        self.post(&accounts, &finished.posted);
        Ok(())
    }

    /// The run and those that it was opened under, itself first.
    pub(crate) fn above(&self, run: RunId) -> Vec<RunId> {
        let mut found = vec![run];
        while let Some(parent) = found.last().and_then(|last| self.runs.get(last)?.parent) {
            found.push(parent);
        }
        found
    }

    fn limits(&self, run: RunId, rules: &Rules, at: Time) -> Limits {
        let Some(book) = self.runs.get(&run) else { return Limits::default() };
        if book.parent.is_some() {
            return book.loan.clone().unwrap_or_default();
        }
        let manifest = rules.agent(&book.agent);
        let limits = manifest.map(|manifest| rules.run_limits(manifest)).unwrap_or_default();
        let standing = book.extensions.iter().filter(|(_, until)| *until > at);
        // The wall clock is no sum.
        let limits = Limits { seconds: None, ..limits };
        standing.fold(limits, |limits, (amount, _)| limits.plus(amount))
    }

    fn sum<'a>(&'a self, run: RunId, amounts: impl Iterator<Item = (RunId, &'a Amount)>) -> Amount {
        let below = amounts.filter(|(one, _)| self.above(*one).contains(&run));
        below.fold(Amount::default(), |sum, (_, amount)| sum.plus(amount))
    }

    fn spent(&self, run: RunId) -> Amount {
        let posted = self.sum(run, self.runs.iter().map(|(id, book)| (*id, &book.posted)));
        posted.plus(&self.sum(run, self.held.values().map(|held| (held.run, &held.amount))))
    }

    /// What borrowers below it have not taken yet.
    fn lent(&self, run: RunId) -> Amount {
        let children = self.runs.iter().filter(|(_, child)| child.parent == Some(run) && child.is_open);
        children.fold(Amount::default(), |sum, (id, child)| {
            let loan = child.loan.clone().unwrap_or_default();
            let rest = loan.amount().minus(&self.spent(*id)).only(&loan);
            sum.plus(&rest).plus(&self.lent(*id).except(&loan))
        })
    }

    fn taken(&self, run: RunId) -> Amount {
        self.spent(run).plus(&self.lent(run))
    }

    fn taken_of(&self, account: &AccountId) -> Amount {
        let posted = self.wide.get(account).cloned().unwrap_or_default();
        let held = self.held.values().filter(|held| held.accounts.contains(account));
        held.fold(posted, |sum, held| sum.plus(&held.amount))
    }
}

fn price(decided: &CallDecided, rules: &Rules) -> Result<Amount, String> {
    let call = decided.call;
    let Some(tool) = rules.tool(&decided.tool) else {
        return Err(format!("{call} was allowed without a contract"));
    };
    let effect = tool.contract.effect;
    let price = Amount {
        calls: 1,
        irreversible: u64::from(effect == Effect::Irreversible),
        usd_nanos: tool.contract.cost_usd_nanos,
        writes: u64::from(effect != Effect::Read),
        ..Amount::default()
    };
    match decided.reserved == price {
        true => Ok(price),
        false => Err(format!("it reserved {:?}, and its price is {price:?}", decided.reserved)),
    }
}

/// Of each currency that a call wants no more is taken, with it, than there is.
fn within(price: &Amount, taken: &Amount, limits: &Limits) -> Result<(), String> {
    let over = |currency: &Currency| {
        price.get(*currency) > 0 && limits.get(*currency).is_some_and(|limit| taken.get(*currency) > limit)
    };
    match Currency::ALL.into_iter().find(over) {
        Some(currency) => {
            Err(format!("{} of {:?} {}", taken.get(currency), limits.get(currency), currency.name()))
        }
        None => Ok(()),
    }
}
