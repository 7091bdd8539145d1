//! `limits:` of the house and of a manifest: when a run must stop or slow down, beside what it may spend.

use kernel::stopping::{Caps, StoppingRules};
use schemars::JsonSchema;
use serde::Deserialize;

use super::house::words;
use super::yaml::{At, Page};

const DURATION_MS_MAX: u64 = 30 * 86_400_000;
/// More distinct places than this are not kept in mind.
const PLACES_MAX: u64 = 10_000;

words! {
    Replan {
        /// A write that failed comes again only after the agent said what it learned, and read anew.
        Required = "required",
        Off = "off",
    }
}

/// When a run must stop or slow down. What a manifest leaves out is as `limits` in `remit.yaml` has it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct Limits {
    /// What one run may do.
    per_run: Option<PerRun>,
    /// What all runs of an agent may do in a minute.
    per_minute: Option<PerMinute>,
    /// Calls of one run that may be under way at once.
    parallel: Option<At<u64>>,
    /// How long a run may be open, such as `10m`; at most as long as `runs.ttl`.
    duration: Option<At<String>>,
    /// How long a run may be without a call.
    idle: Option<At<String>>,
    /// How often one run may make the same call with the same arguments.
    #[schemars(extend("default" = StoppingRules::usual().same_call_max))]
    same_call_max: Option<At<u64>>,
    /// How often a tool that reads may tell one run the same.
    #[schemars(extend("default" = StoppingRules::usual().same_result_max))]
    same_result_max: Option<At<u64>>,
    /// How often two calls may take turns in one run, with no other between them.
    #[schemars(extend("default" = StoppingRules::usual().ping_pong_max))]
    ping_pong_max: Option<At<u64>>,
    /// Whether a write that failed, for a reason that does not pass, needs a replan before it comes again.
    #[schemars(extend("default" = "required"))]
    replan: Option<Replan>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct PerRun {
    /// Calls of any kind.
    calls: Option<At<u64>>,
    /// Calls that change something.
    writes: Option<u64>,
    /// Calls like one that did not succeed before.
    retries: Option<u64>,
    /// Different destinations.
    destinations: Option<At<u64>>,
    /// Different hosts among the destinations.
    hosts: Option<At<u64>>,
    /// How often it may say what it learned and begin anew.
    #[schemars(extend("default" = StoppingRules::usual().per_run.replans))]
    replans: Option<u64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct PerMinute {
    /// Calls of any kind.
    calls: Option<At<u64>>,
    /// Calls that change something.
    writes: Option<u64>,
    /// Calls like one that did not succeed before.
    retries: Option<u64>,
    /// Different destinations.
    destinations: Option<At<u64>>,
    /// Different hosts among the destinations.
    hosts: Option<At<u64>>,
}

impl Limits {
    pub(super) fn law(&self, page: &mut Page<'_>) -> StoppingRules {
        let some = |page: &mut Page<'_>, at: &Option<At<u64>>| at.as_ref().map(|at| page.at_least_one(at));
        let time = |page: &mut Page<'_>, at: &Option<At<String>>| {
            at.as_ref().map(|at| page.duration_ms(at, 1_000, DURATION_MS_MAX))
        };
        let (per_run, per_minute) = (self.per_run.as_ref(), self.per_minute.as_ref());
        StoppingRules {
            per_run: per_run.map(|caps| caps.law(page)).unwrap_or_default(),
            per_minute: per_minute.map(|caps| caps.law(page)).unwrap_or_default(),
            parallel: some(page, &self.parallel),
            duration_ms: time(page, &self.duration),
            idle_ms: time(page, &self.idle),
            same_call_max: some(page, &self.same_call_max),
            same_result_max: some(page, &self.same_result_max),
            ping_pong_max: some(page, &self.ping_pong_max),
            replan: self.replan.map(|replan| replan == Replan::Required),
        }
    }
}

impl PerRun {
    fn law(&self, page: &mut Page<'_>) -> Caps {
        Caps {
            calls: self.calls.as_ref().map(|at| page.at_least_one(at)),
            destinations: places(page, self.destinations.as_ref()),
            hosts: places(page, self.hosts.as_ref()),
            replans: self.replans,
            retries: self.retries,
            writes: self.writes,
        }
    }
}

impl PerMinute {
    fn law(&self, page: &mut Page<'_>) -> Caps {
        Caps {
            calls: self.calls.as_ref().map(|at| page.at_least_one(at)),
            destinations: places(page, self.destinations.as_ref()),
            hosts: places(page, self.hosts.as_ref()),
            replans: None,
            retries: self.retries,
            writes: self.writes,
        }
    }
}

fn places(page: &mut Page<'_>, at: Option<&At<u64>>) -> Option<u64> {
    let at = at?;
    let places = page.at_least_one(at);
    if places > PLACES_MAX {
        page.error("number", at.place, format!("`{places}` is more than can be kept in mind"))
            .help(format!("at most {PLACES_MAX}"));
    }
    Some(places)
}
