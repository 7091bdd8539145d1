//! Accounts: what a run may spend, what it has spent, and what calls under way may still spend.
//!
//! Every cost is reserved before and posted after, and checked against posted + pending; so no interleaving overspends.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Currency {
    Calls,
    Writes,
    Irreversible,
    UsdNanos,
}

impl Currency {
    pub const ALL: [Currency; 4] =
        [Currency::Calls, Currency::Writes, Currency::Irreversible, Currency::UsdNanos];

    pub fn name(self) -> &'static str {
        match self {
            Currency::Calls => "calls",
            Currency::Writes => "writes",
            Currency::Irreversible => "irreversible calls",
            Currency::UsdNanos => "usd (nano-dollars)",
        }
    }
}

/// An amount of each currency.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Amount {
    #[serde(skip_serializing_if = "is_zero")]
    pub calls: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub irreversible: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub usd_nanos: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub writes: u64,
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

impl Amount {
    pub fn get(&self, currency: Currency) -> u64 {
        match currency {
            Currency::Calls => self.calls,
            Currency::Writes => self.writes,
            Currency::Irreversible => self.irreversible,
            Currency::UsdNanos => self.usd_nanos,
        }
    }

    fn zip(self, other: Amount, f: impl Fn(u64, u64) -> u64) -> Amount {
        Amount {
            calls: f(self.calls, other.calls),
            irreversible: f(self.irreversible, other.irreversible),
            usd_nanos: f(self.usd_nanos, other.usd_nanos),
            writes: f(self.writes, other.writes),
        }
    }

    pub fn plus(self, other: Amount) -> Amount {
        self.zip(other, u64::saturating_add)
    }

    /// The smaller of each currency.
    pub fn min(self, other: Amount) -> Amount {
        self.zip(other, u64::min)
    }

    /// What is left after taking `other`; never below zero.
    pub fn minus(self, other: Amount) -> Amount {
        self.zip(other, u64::saturating_sub)
    }
}

/// What one run may spend; nothing set means no limit in that currency.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub irreversible: Option<u64>,
    /// Wall clock from the opening of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usd_nanos: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writes: Option<u64>,
}

impl Limits {
    pub fn get(&self, currency: Currency) -> Option<u64> {
        match currency {
            Currency::Calls => self.calls,
            Currency::Writes => self.writes,
            Currency::Irreversible => self.irreversible,
            Currency::UsdNanos => self.usd_nanos,
        }
    }
}

/// The first limit that a reservation would break.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Short {
    pub currency: Currency,
    pub limit: u64,
    pub taken: u64,
    pub wanted: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    pub posted: Amount,
    pub pending: Amount,
}

impl Account {
    pub fn check(&self, wanted: Amount, limits: &Limits) -> Result<(), Short> {
        let taken = self.posted.plus(self.pending);
        for currency in Currency::ALL {
            let Some(limit) = limits.get(currency) else { continue };
            let (taken, wanted) = (taken.get(currency), wanted.get(currency));
            if wanted > 0 && taken.checked_add(wanted).is_none_or(|sum| sum > limit) {
                return Err(Short { currency, limit, taken, wanted });
            }
        }
        Ok(())
    }

    pub fn reserve(&mut self, amount: Amount) {
        self.pending = self.pending.plus(amount);
    }

    /// Ends a reservation: what was used is posted, the rest is free again.
    pub fn post(&mut self, reserved: Amount, used: Amount) {
        self.pending = self.pending.minus(reserved);
        self.posted = self.posted.plus(used);
    }

    /// The fullest currency, in percent.
    pub fn spent_percent(&self, limits: &Limits) -> u64 {
        let taken = self.posted.plus(self.pending);
        let percent = |currency| {
            let limit = limits.get(currency)?;
            Some(taken.get(currency).saturating_mul(100).checked_div(limit).unwrap_or(100))
        };
        Currency::ALL.into_iter().filter_map(percent).max().unwrap_or(0)
    }
}
