//! Accounts: what may be spent, what was spent, what calls under way may still spend, and what is lent to runs below.
//!
//! Every cost is reserved before and posted after, and checked against posted + pending + lent; so no interleaving
//! overspends. Whole numbers only: a sum that would not fit stays at the largest number, and so above every limit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The currencies that every house has: a row is a currency, its field, and its name in words.
macro_rules! currencies {
    ($($(#[$about:meta])* $variant:ident $field:ident $name:literal,)*) => {
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Currency {
            $($(#[$about])* $variant,)*
        }

        impl Currency {
            pub const ALL: [Currency; [$(Currency::$variant),*].len()] = [$(Currency::$variant),*];

            pub fn name(self) -> &'static str {
                match self {
                    $(Currency::$variant => $name,)*
                }
            }

            /// As configurations and programs name it.
            pub fn key(self) -> &'static str {
                match self {
                    $(Currency::$variant => stringify!($field),)*
                }
            }
        }

        /// An amount of each currency.
        // Fields stand in alphabetical order, so that serde writes the canonical bytes (see `event`).
        #[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
        #[serde(default)]
        pub struct Amount {
            #[serde(skip_serializing_if = "is_zero")]
            pub calls: u64,
            /// What a contract or a manifest counts from an argument, by its name.
            #[serde(skip_serializing_if = "BTreeMap::is_empty")]
            pub counted: BTreeMap<String, u64>,
            #[serde(skip_serializing_if = "is_zero")]
            pub human_minutes: u64,
            #[serde(skip_serializing_if = "is_zero")]
            pub irreversible: u64,
            #[serde(skip_serializing_if = "is_zero")]
            pub retries: u64,
            #[serde(skip_serializing_if = "is_zero")]
            pub seconds: u64,
            /// All of them, whatever their kind.
            #[serde(skip_serializing_if = "is_zero")]
            pub tokens: u64,
            #[serde(skip_serializing_if = "is_zero")]
            pub tokens_cached: u64,
            #[serde(skip_serializing_if = "is_zero")]
            pub tokens_in: u64,
            #[serde(skip_serializing_if = "is_zero")]
            pub tokens_out: u64,
            #[serde(skip_serializing_if = "is_zero")]
            pub usd_nanos: u64,
            #[serde(skip_serializing_if = "is_zero")]
            pub writes: u64,
        }

        /// What may be spent; nothing set means no limit in that currency.
        #[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
        #[serde(default)]
        pub struct Limits {
            #[serde(skip_serializing_if = "Option::is_none")]
            pub calls: Option<u64>,
            #[serde(skip_serializing_if = "BTreeMap::is_empty")]
            pub counted: BTreeMap<String, u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            pub human_minutes: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            pub irreversible: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            pub retries: Option<u64>,
            /// Of a run: wall clock from its opening. Of a wider account: what its calls took, together.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub seconds: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            pub tokens: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            pub tokens_cached: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            pub tokens_in: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            pub tokens_out: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            pub usd_nanos: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            pub writes: Option<u64>,
        }

        impl Amount {
            pub fn get(&self, currency: Currency) -> u64 {
                match currency {
                    $(Currency::$variant => self.$field,)*
                }
            }

            fn zip(&self, other: &Amount, f: impl Fn(u64, u64) -> u64) -> Amount {
                Amount {
                    $($field: f(self.$field, other.$field),)*
                    counted: zip(&self.counted, &other.counted, &f),
                }
            }

            /// As much as is known to have been used; all of it, where nobody knows.
            #[must_use]
            pub fn used(&self, used: &Used) -> Amount {
                let known = &used.known;
                let count = |(name, value): (&String, &u64)| {
                    let kept = if used.counts_are_known { 0 } else { *value };
                    let count = known.counted.get(name).map_or(kept, |known| (*known).min(*value));
                    (count > 0).then(|| (name.clone(), count))
                };
                Amount {
                    $($field: known.$field.map_or(self.$field, |known| known.min(self.$field)),)*
                    counted: self.counted.iter().filter_map(count).collect(),
                }
            }

            /// What of it is in currencies that `mask` limits, or is not.
            fn part(&self, mask: &Limits, within: bool) -> Amount {
                let counted = self.counted.iter().filter(|(name, _)| mask.counted.contains_key(*name) == within);
                Amount {
                    $($field: if mask.$field.is_some() == within { self.$field } else { 0 },)*
                    counted: counted.map(|(name, value)| (name.clone(), *value)).collect(),
                }
            }
        }

        impl Used {
            /// All of it is known.
            pub fn all(amount: &Amount) -> Used {
                let counted = amount.counted.clone();
                Used { known: Limits { $($field: Some(amount.$field),)* counted }, counts_are_known: true }
            }
        }

        impl Limits {
            pub fn get(&self, currency: Currency) -> Option<u64> {
                match currency {
                    $(Currency::$variant => self.$field,)*
                }
            }

            fn zip(&self, other: &Amount, f: impl Fn(u64, u64) -> u64) -> Limits {
                let value = |name: &String| other.counted.get(name).copied().unwrap_or(0);
                let counted = self.counted.iter().map(|(name, limit)| (name.clone(), f(*limit, value(name))));
                Limits { $($field: self.$field.map(|limit| f(limit, other.$field)),)* counted: counted.collect() }
            }

            /// Both hold: the smaller of each.
            pub fn within(&self, other: &Limits) -> Limits {
                let mut counted = self.counted.clone();
                for (name, limit) in &other.counted {
                    let known = counted.entry(name.clone()).or_insert(*limit);
                    *known = (*known).min(*limit);
                }
                Limits { $($field: smaller(self.$field, other.$field),)* counted }
            }

            /// As much of each currency as is limited, or nothing.
            pub fn amount(&self) -> Amount {
                let counted = self.counted.iter().filter(|(_, limit)| **limit > 0);
                let counted = counted.map(|(name, limit)| (name.clone(), *limit)).collect();
                Amount { $($field: self.$field.unwrap_or(0),)* counted }
            }

            /// Those of the currencies that are wanted at all.
            #[must_use]
            pub fn of(&self, wanted: &Amount) -> Limits {
                let counted = self.counted.iter().filter(|(name, _)| wanted.counted.contains_key(*name));
                let counted = counted.map(|(name, limit)| (name.clone(), *limit)).collect();
                Limits { $($field: self.$field.filter(|_| wanted.$field > 0),)* counted }
            }
        }
    };
}

currencies! {
    Calls calls "calls",
    Writes writes "writes",
    Irreversible irreversible "irreversible calls",
    UsdNanos usd_nanos "usd (nano-dollars)",
    /// Of models: all of them, whatever their kind.
    Tokens tokens "tokens",
    /// What a model reads anew.
    TokensIn tokens_in "tokens in",
    /// What it writes.
    TokensOut tokens_out "tokens out",
    /// What it has read before, and finds in a cache.
    TokensCached tokens_cached "cached tokens",
    Seconds seconds "seconds",
    Retries retries "retries",
    /// A person's work on a run: reviews, for one.
    HumanMinutes human_minutes "human minutes",
}

/// An amount of a currency, in words.
pub(crate) fn said(amount: u64, currency: &str) -> String {
    if currency == Currency::UsdNanos.name() {
        return stdx::money::usd(amount);
    }
    format!("{amount} {currency}")
}

/// The same of a currency by its key.
pub(crate) fn said_of(amount: u64, key: &str) -> String {
    let known = Currency::ALL.into_iter().find(|currency| currency.key() == key);
    said(amount, known.map_or(key, |currency| currency.name()))
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

fn smaller(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

/// Zeros are left out, so that equal amounts are equal.
fn zip(
    one: &BTreeMap<String, u64>,
    other: &BTreeMap<String, u64>,
    f: impl Fn(u64, u64) -> u64,
) -> BTreeMap<String, u64> {
    if one.is_empty() && other.is_empty() {
        return BTreeMap::new();
    }
    let value = |map: &BTreeMap<String, u64>, name| map.get(name).copied().unwrap_or(0);
    let names = one.keys().chain(other.keys());
    let both = names.map(|name| (name.clone(), f(value(one, name), value(other, name))));
    both.filter(|(_, sum)| *sum > 0).collect()
}

impl Amount {
    #[must_use]
    pub fn plus(&self, other: &Amount) -> Amount {
        self.zip(other, u64::saturating_add)
    }

    /// The smaller of each currency.
    #[must_use]
    pub fn min(&self, other: &Amount) -> Amount {
        self.zip(other, u64::min)
    }

    /// The larger of each currency.
    #[must_use]
    pub fn max(&self, other: &Amount) -> Amount {
        self.zip(other, u64::max)
    }

    /// What is left after taking `other`; never below zero.
    #[must_use]
    pub fn minus(&self, other: &Amount) -> Amount {
        self.zip(other, u64::saturating_sub)
    }

    /// What of it is in the currencies that are limited there.
    #[must_use]
    pub fn only(&self, limits: &Limits) -> Amount {
        self.part(limits, true)
    }

    /// What of it is in other currencies.
    #[must_use]
    pub fn except(&self, limits: &Limits) -> Amount {
        self.part(limits, false)
    }

    pub fn is_zero(&self) -> bool {
        Currency::ALL.iter().all(|currency| self.get(*currency) == 0) && self.counted.is_empty()
    }

    /// Of a currency or of what is counted, by its key.
    pub fn by_key(&self, key: &str) -> u64 {
        match Currency::ALL.into_iter().find(|currency| currency.key() == key) {
            Some(currency) => self.get(currency),
            None => self.counted.get(key).copied().unwrap_or(0),
        }
    }

    /// Whether each currency is no more than there.
    pub fn fits(&self, other: &Amount) -> bool {
        self.minus(other).is_zero()
    }

    /// Tokens of each kind are tokens, and are never told beside a smaller sum.
    #[must_use]
    pub fn reckoned(self) -> Amount {
        let kinds = self.tokens_in.saturating_add(self.tokens_out).saturating_add(self.tokens_cached);
        Amount { tokens: self.tokens.max(kinds), ..self }
    }

    /// One of so many equal shares of each, rounded down.
    #[must_use]
    pub fn divided(&self, by: u64) -> Amount {
        self.each(|value| value.checked_div(by).unwrap_or(value))
    }

    #[must_use]
    pub fn each(&self, f: impl Fn(u64) -> u64) -> Amount {
        self.zip(&Amount::default(), |value, _| f(value))
    }
}

/// What a call is known to have used. Of what nobody knows, all that was reserved is posted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Used {
    pub known: Limits,
    /// Nothing is counted but what is named there.
    pub counts_are_known: bool,
}

impl Used {
    /// Who knows what was read and what was written knows the sum.
    #[must_use]
    pub fn reckoned(mut self) -> Used {
        let known = &mut self.known;
        let cached = known.tokens_cached.unwrap_or(0);
        if let (Some(read), Some(written)) = (known.tokens_in, known.tokens_out) {
            let kinds = read.saturating_add(written).saturating_add(cached);
            known.tokens = Some(known.tokens.unwrap_or(0).max(kinds));
            known.tokens_cached = Some(cached);
        }
        self
    }
}

impl Limits {
    pub fn is_none(&self) -> bool {
        *self == Limits::default()
    }

    /// What is left of each after so much was taken.
    #[must_use]
    pub fn minus(&self, taken: &Amount) -> Limits {
        self.zip(taken, u64::saturating_sub)
    }

    /// Raised, where there is a limit at all.
    #[must_use]
    pub fn plus(&self, more: &Amount) -> Limits {
        self.zip(more, u64::saturating_add)
    }

    /// Every limit that is set, by its key.
    pub fn by_key(&self) -> impl Iterator<Item = (&str, u64)> {
        let fixed = Currency::ALL.into_iter().filter_map(|one| Some((one.key(), self.get(one)?)));
        fixed.chain(self.counted.iter().map(|(name, limit)| (name.as_str(), *limit)))
    }

    /// The fullest currency, in percent.
    pub fn percent(&self, taken: &Amount) -> u64 {
        let fixed = Currency::ALL.into_iter().filter_map(|one| Some(full(taken.get(one), self.get(one)?)));
        let value = |name| taken.counted.get(name).copied().unwrap_or(0);
        let counted = self.counted.iter().map(|(name, limit)| full(value(name), *limit));
        fixed.chain(counted).max().unwrap_or(0)
    }

    /// The same, and of which currency: the first of several, by its key, with its limit.
    pub fn fullest(&self, taken: &Amount) -> Option<(u64, &str, u64)> {
        let each = self.by_key().map(|(key, limit)| (full(taken.by_key(key), limit), key, limit));
        each.reduce(|first, other| if other.0 > first.0 { other } else { first })
    }

    /// The first limit that so much more would break. A currency that is not wanted breaks nothing.
    pub fn check(&self, taken: &Amount, wanted: &Amount) -> Result<(), Short> {
        let fixed = Currency::ALL.into_iter().filter_map(|currency| {
            let (limit, wanted) = (self.get(currency)?, wanted.get(currency));
            short(limit, taken.get(currency), wanted, || currency.name().to_owned())
        });
        let value = |amount: &Amount, name| amount.counted.get(name).copied().unwrap_or(0);
        let counted = self.counted.iter().filter_map(|(name, limit)| {
            short(*limit, value(taken, name), value(wanted, name), || name.clone())
        });
        fixed.chain(counted).next().map_or(Ok(()), Err)
    }
}

/// In percent; where nothing may be taken, it is full.
fn full(taken: u64, limit: u64) -> u64 {
    taken.saturating_mul(100).checked_div(limit).unwrap_or(100)
}

fn short(limit: u64, taken: u64, wanted: u64, name: impl Fn() -> String) -> Option<Short> {
    let breaks = wanted > 0 && taken.checked_add(wanted).is_none_or(|sum| sum > limit);
    breaks.then(|| Short { currency: name(), limit, taken, wanted })
}

/// The first limit that a reservation would break.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Short {
    /// In words, or the name of what is counted.
    pub currency: String,
    pub limit: u64,
    pub taken: u64,
    pub wanted: u64,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    pub posted: Amount,
    pub pending: Amount,
    /// Set aside for runs below that opened with a budget of their own, and not taken by them yet.
    #[serde(default)]
    pub lent: Amount,
}

impl Account {
    /// All that nobody else may have.
    pub fn taken(&self) -> Amount {
        let taken = self.posted.plus(&self.pending);
        if self.lent.is_zero() { taken } else { taken.plus(&self.lent) }
    }

    pub fn reserve(&mut self, amount: &Amount) {
        self.pending = self.pending.plus(amount);
    }

    /// Ends a reservation: what was used is posted, the rest is free again.
    pub fn post(&mut self, reserved: &Amount, used: &Amount) {
        self.pending = self.pending.minus(reserved);
        self.posted = self.posted.plus(used);
    }

    /// The fullest currency, in percent.
    pub fn spent_percent(&self, limits: &Limits) -> u64 {
        limits.percent(&self.taken())
    }
}
