//! Accounts as people and agents see them, and what people do about a run.

use std::collections::{BTreeMap, BTreeSet};

use kernel::balance::{Balance, Of, Whose};
use kernel::command::{Answer, Command};
use kernel::id::{Mark, RunId};
use kernel::reason::{Code, Reason};
use kernel::steer::Steer;
use kernel::window::AccountId;

use crate::bounds::{NAME_BYTES_MAX, WHY_BYTES_MAX, within};
use crate::error::Error;
use crate::gate::Gate;
use crate::runs::{Receipted, receipted};

impl Gate {
    /// Every account that counts for this run, or all that an agent or a tenant has; the parts of all lanes together.
    pub async fn balances(&self, whose: Whose) -> Result<Result<Vec<Balance>, Reason>, Error> {
        let Whose::Run(run) = &whose else { return Ok(Ok(self.wide(&whose).await?)) };
        let written = self.ask_lane(self.lane_of(*run), Command::Balance(whose.clone()), Vec::new()).await?;
        let balances = match written.answer {
            Answer::Balances(balances) => balances,
            Answer::Refused(reason) => return Ok(Err(reason)),
            _ => return Err(Error::LogUnwritable),
        };
        // What is wider than a run is in other lanes too.
        let mut found = Vec::new();
        let mut owners = BTreeSet::new();
        for balance in balances {
            match &balance.of {
                Of::Run { .. } => found.push(balance),
                Of::Account(id) => {
                    owners.insert(id.owner.clone());
                }
            }
        }
        for owner in owners {
            found.extend(self.wide(&Whose::Owner(owner)).await?);
        }
        Ok(Ok(found))
    }

    async fn wide(&self, whose: &Whose) -> Result<Vec<Balance>, Error> {
        let mut sums: BTreeMap<AccountId, Balance> = BTreeMap::new();
        for lane in 0..self.lane_count() {
            let written = self.ask_lane(lane, Command::Balance(whose.clone()), Vec::new()).await?;
            let Answer::Balances(balances) = written.answer else { continue };
            for balance in balances {
                let Of::Account(id) = &balance.of else { continue };
                match sums.get_mut(id) {
                    None => drop(sums.insert(id.clone(), balance)),
                    Some(sum) => {
                        sum.account.posted = sum.account.posted.plus(&balance.account.posted);
                        sum.account.pending = sum.account.pending.plus(&balance.account.pending);
                        sum.crossed = sum.crossed.max(balance.crossed);
                    }
                }
            }
        }
        Ok(sums.into_values().collect())
    }

    /// Pauses a run, lets it go on or spend more, charges it; or says what a closed one came to in truth.
    pub async fn run_steer(&self, run: RunId, steer: Steer, why: &str, by: &str) -> Receipted {
        within("the why", why, WHY_BYTES_MAX)?;
        within("a name", by, NAME_BYTES_MAX)?;
        if matches!(steer, Steer::Correct { .. }) && !self.was_opened(run).await? {
            return Ok(Err(Reason::new(Code::RunUnknown)));
        }
        let command = Command::Steer { run, steer, by: by.to_owned(), why: why.to_owned() };
        receipted(self.ask_lane(self.lane_of(run), command, Vec::new()).await?)
    }

    /// What a message from outside is known again by.
    pub fn delivery_mark(&self, sender: &str, message: &str) -> Mark {
        self.0.seal.mark_parts(RunId(0), "delivery", &[sender.as_bytes(), b"\0", message.as_bytes()])
    }

    /// Whether such a run was ever opened: the law forgets those that are closed, and the views do not. They may lag,
    /// so they are asked as of now: a run is known the moment that its opening was answered.
    async fn was_opened(&self, run: RunId) -> Result<bool, Error> {
        let as_of_now = self.counts().head_index.saturating_sub(1);
        match self.run(run, Some(as_of_now)).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub fn now(&self) -> kernel::time::Time {
        self.0.clock.now()
    }
}
