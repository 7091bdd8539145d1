//! Balances: what an account has had, holds and may still spend, for whoever asks.

use serde::{Deserialize, Serialize};

use crate::account::{Account, Limits};
use crate::id::RunId;
use crate::steer::Paused;
use crate::threshold::Action;
use crate::time::Time;
use crate::window::{AccountId, Owner};

/// What the agent may still spend, told with every answer: the least of all its accounts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Left {
    pub left: Limits,
    /// The strictest threshold that one of its accounts has come to.
    pub action: Option<Action>,
    /// How full the fullest is.
    pub percent: u64,
}

/// Whose balance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Whose {
    Run(RunId),
    Owner(Owner),
}

/// One account as it stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Balance {
    pub of: Of,
    pub limits: Limits,
    pub account: Account,
    pub from: Time,
    /// When a new one begins, or the run ends.
    pub until: Time,
    /// The highest threshold that was crossed.
    pub crossed: u64,
    pub paused: Option<Paused>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Of {
    Run { run: RunId, agent: String },
    Account(AccountId),
}
