//! Budgets: what may be spent, in which currencies, for how long, and what happens on the way there.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use kernel::account::Limits;
use kernel::contract::Contract;
use kernel::price::Count;
use kernel::threshold::{self, Threshold};
use kernel::window::Window;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use stdx::nearest::nearest;

use super::contract::check_path;
use super::house::words;
use super::yaml::{At, Page, Usd};

/// The currencies of whole numbers that every house has.
const WHOLE: [&str; 10] = [
    "calls",
    "human_minutes",
    "irreversible",
    "retries",
    "seconds",
    "tokens",
    "tokens_cached",
    "tokens_in",
    "tokens_out",
    "writes",
];
const COUNT_NAME_LENGTH_MAX: usize = 64;

words! {
    Action {
        /// The agent is told to do with less.
        Degrade = "degrade",
        /// The agent is told to look at its plan again before it writes.
        Decide = "decide",
        /// People are told.
        Notify = "notify",
        /// Nothing more is permitted.
        Stop = "stop",
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct Budget {
    /// What one run may spend, with all the runs under it. A currency that is left out is not limited.
    per_run: Option<Spend>,
    /// What all its runs together may spend in an hour.
    per_hour: Option<Spend>,
    /// What all its runs together may spend in a day of the house's calendar.
    per_day: Option<Spend>,
    /// What all its runs together may spend in a month of the house's calendar.
    per_month: Option<Spend>,
}

/// Currencies and limits. A name that is no currency is one that a contract or a manifest counts from an argument.
#[derive(Debug, Default)]
pub(super) struct Spend {
    usd: Option<At<Usd>>,
    whole: BTreeMap<String, At<u64>>,
}

impl<'de> Deserialize<'de> for Spend {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Spend, D::Error> {
        struct Reading;
        impl<'de> Visitor<'de> for Reading {
            type Value = Spend;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("currencies and their limits")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Spend, M::Error> {
                let mut spend = Spend::default();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "usd" {
                        spend.usd = Some(map.next_value()?);
                    } else {
                        spend.whole.insert(name, map.next_value()?);
                    }
                }
                Ok(spend)
            }
        }
        input.deserialize_map(Reading)
    }
}

impl JsonSchema for Spend {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Spend".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let usd = Usd::json_schema(generator).to_value();
        let whole =
            |about: &str| serde_json::json!({ "type": "integer", "minimum": 0, "description": about });
        let mut usd = usd;
        if let Value::Object(usd) = &mut usd {
            usd.insert("description".into(), "Dollars, exact to a thousand-millionth.".into());
        }
        json_schema!({
            "type": "object",
            "properties": {
                "usd": usd,
                "calls": whole("Calls of any kind."),
                "writes": whole("Calls that change something."),
                "irreversible": whole("Calls that cannot be taken back."),
                "retries": whole("Calls that try again what failed."),
                "tokens": whole("Tokens of models: in, out and cached together."),
                "tokens_in": whole("Tokens that models read anew."),
                "tokens_out": whole("Tokens that they write."),
                "tokens_cached": whole("Tokens that they have read before, and find in a cache."),
                "seconds": whole(
                    "Of a run: wall clock from its opening. Of a longer window: what its calls took, together."
                ),
                "human_minutes": whole("Minutes that people worked on it, as they were charged."),
            },
            "additionalProperties": whole("A count of one's own: see `count` in contracts and manifests."),
        })
    }
}

impl Spend {
    fn limits(&self, page: &mut Page<'_>, counted: &Counted<'_>) -> Limits {
        let mut limits =
            Limits { usd_nanos: self.usd.as_ref().map(|usd| page.usd_nanos(usd)), ..Limits::default() };
        for (name, at) in &self.whole {
            let known = match name.as_str() {
                "calls" => &mut limits.calls,
                "human_minutes" => &mut limits.human_minutes,
                "irreversible" => &mut limits.irreversible,
                "retries" => &mut limits.retries,
                "seconds" => &mut limits.seconds,
                "tokens" => &mut limits.tokens,
                "tokens_cached" => &mut limits.tokens_cached,
                "tokens_in" => &mut limits.tokens_in,
                "tokens_out" => &mut limits.tokens_out,
                "writes" => &mut limits.writes,
                _ => {
                    check_counted(page, name, at, counted);
                    limits.counted.insert(name.clone(), at.value);
                    continue;
                }
            };
            *known = Some(at.value);
        }
        limits
    }
}

/// A misspelt currency would limit nothing.
fn check_counted(page: &mut Page<'_>, name: &str, at: &At<u64>, counted: &Counted<'_>) {
    // A tool that could not be read may be what counts it.
    let Some(counted) = counted.as_ref().filter(|counted| !counted.contains(name)) else { return };
    let known = WHOLE.into_iter().chain(["usd"]).chain(counted.iter().copied());
    let help = nearest(name, known).map_or_else(
        || "declare it in a contract: `count: { name: args.amount }`".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    let place = page.key(name, at.place);
    page.error("currency", place, format!("`{name}` is no currency, and nothing counts it")).help(help);
}

impl Budget {
    pub(super) fn per_run(&self, page: &mut Page<'_>, counted: &Counted<'_>) -> Limits {
        self.per_run.as_ref().map(|spend| spend.limits(page, counted)).unwrap_or_default()
    }

    pub(super) fn windows(&self, page: &mut Page<'_>, counted: &Counted<'_>) -> BTreeMap<Window, Limits> {
        let written =
            [(Window::Hour, &self.per_hour), (Window::Day, &self.per_day), (Window::Month, &self.per_month)];
        let written = written.into_iter().filter_map(|(window, spend)| Some((window, spend.as_ref()?)));
        written.map(|(window, spend)| (window, spend.limits(page, counted))).collect()
    }
}

/// What a tenant's agents may spend together.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct Tenant {
    budget: TenantBudget,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct TenantBudget {
    /// What all its agents together may spend in an hour.
    per_hour: Option<Spend>,
    /// What all its agents together may spend in a day of the house's calendar.
    per_day: Option<Spend>,
    /// What all its agents together may spend in a month of the house's calendar.
    per_month: Option<Spend>,
}

impl Tenant {
    pub(super) fn windows(&self, page: &mut Page<'_>, counted: &Counted<'_>) -> BTreeMap<Window, Limits> {
        let TenantBudget { per_hour, per_day, per_month } = &self.budget;
        let written = [(Window::Hour, per_hour), (Window::Day, per_day), (Window::Month, per_month)];
        let written = written.into_iter().filter_map(|(window, spend)| Some((window, spend.as_ref()?)));
        written.map(|(window, spend)| (window, spend.limits(page, counted))).collect()
    }
}

/// Every name that something counts; none if not all that was written could be read.
pub(super) type Counted<'a> = Option<BTreeSet<&'a str>>;

pub(super) fn counted<'a>(
    tools: &'a BTreeMap<String, Contract>,
    all_read: bool,
    own: impl Iterator<Item = &'a String>,
) -> Counted<'a> {
    let contracts = tools.values().flat_map(|contract| &contract.counts).map(|count| count.name.as_str());
    all_read.then(|| contracts.chain(own.map(String::as_str)).collect())
}

/// `count: { refunded_cents: args.amount_cents }`
pub(super) fn counts(
    page: &mut Page<'_>,
    written: &BTreeMap<String, At<String>>,
    input: Option<&Value>,
) -> Vec<Count> {
    let mut counts = Vec::new();
    for (name, at) in written {
        let plain =
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        let taken = WHOLE.contains(&name.as_str()) || name == "usd";
        if name.is_empty() || name.len() > COUNT_NAME_LENGTH_MAX || !plain || taken {
            let place = page.key(name, at.place);
            page.error("count", place, format!("`{name}` cannot be the name of a count")).help(format!(
                "small letters, digits and `_`, at most {COUNT_NAME_LENGTH_MAX}, and no currency that is there already"
            ));
        }
        let path: Vec<String> = at.value.split('.').skip(1).map(str::to_owned).collect();
        if !at.value.starts_with("args.") || path.iter().any(String::is_empty) {
            page.error("count", at.place, format!("`{}` names no argument", at.value))
                .help("`args.` and the name of an argument, such as `args.amount_cents`");
        } else if let Some(input) = input {
            check_path(page, at, &path, input);
        }
        counts.push(Count { name: name.clone(), path });
    }
    counts
}

/// `gates: { 50: degrade, 75: decide, 90: notify, 100: stop }`
pub(super) fn thresholds(page: &mut Page<'_>, written: &BTreeMap<u64, At<Action>>) -> Vec<Threshold> {
    let mut thresholds = Vec::new();
    for (percent, at) in written {
        if !(1..=100).contains(percent) {
            page.error("gate", at.place, format!("`{percent}` is no percentage")).help("from 1 to 100");
        }
        if at.value == Action::Stop && *percent != 100 {
            page.error("gate", at.place, "a budget stops at 100 percent")
                .help("lower the budget itself, or take another action here");
        }
        let action = match at.value {
            Action::Degrade => threshold::Action::Degrade,
            Action::Decide => threshold::Action::Decide,
            Action::Notify => threshold::Action::Notify,
            Action::Stop => threshold::Action::Stop,
        };
        thresholds.push(Threshold { percent: *percent, action });
    }
    thresholds
}
