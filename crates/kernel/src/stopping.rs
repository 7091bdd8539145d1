//! Stopping rules: when a run must stop or slow down, beside what it may spend.
//!
//! A manifest says its own; what it leaves out is the house's.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::agent::Manifest;
use crate::destination;
use crate::rules::Rules;

/// Destinations of one call that limits can count.
pub(crate) const PLACES_MAX: usize = 64;

/// What holds for one agent. Nothing set: nothing is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StoppingRules {
    /// Of all the agent's runs together.
    #[serde(skip_serializing_if = "Caps::is_open")]
    pub per_minute: Caps,
    #[serde(skip_serializing_if = "Caps::is_open")]
    pub per_run: Caps,
    /// Calls of one run under way at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel: Option<u64>,
    /// How long a run may be open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// How long a run may be without a call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_ms: Option<u64>,
    /// How often one run may make the same call with the same arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_call_max: Option<u64>,
    /// How often one run may be told the same by a tool that reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_result_max: Option<u64>,
    /// How often two calls may take turns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ping_pong_max: Option<u64>,
    /// Whether a write that failed may come again only after a replan and a fresh read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replan: Option<bool>,
}

/// Numbers of what was permitted. Destinations and hosts are counted once each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Caps {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destinations: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hosts: Option<u64>,
    /// Of a run alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replans: Option<u64>,
    /// Calls that an earlier one of the run was like, and did not succeed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writes: Option<u64>,
}

impl Caps {
    fn is_open(&self) -> bool {
        *self == Caps::default()
    }

    fn or(self, other: Caps) -> Caps {
        Caps {
            calls: self.calls.or(other.calls),
            destinations: self.destinations.or(other.destinations),
            hosts: self.hosts.or(other.hosts),
            replans: self.replans.or(other.replans),
            retries: self.retries.or(other.retries),
            writes: self.writes.or(other.writes),
        }
    }

    fn counts_places(&self) -> bool {
        self.destinations.is_some() || self.hosts.is_some()
    }
}

impl StoppingRules {
    /// What a house that says nothing asks of everybody.
    pub fn usual() -> StoppingRules {
        StoppingRules {
            same_call_max: Some(20),
            same_result_max: Some(20),
            ping_pong_max: Some(10),
            replan: Some(true),
            per_run: Caps { replans: Some(20), ..Caps::default() },
            ..StoppingRules::default()
        }
    }

    /// These, and where they say nothing, those.
    #[must_use]
    pub fn or(self, other: &StoppingRules) -> StoppingRules {
        StoppingRules {
            per_minute: self.per_minute.or(other.per_minute),
            per_run: self.per_run.or(other.per_run),
            parallel: self.parallel.or(other.parallel),
            duration_ms: self.duration_ms.or(other.duration_ms),
            idle_ms: self.idle_ms.or(other.idle_ms),
            same_call_max: self.same_call_max.or(other.same_call_max),
            same_result_max: self.same_result_max.or(other.same_result_max),
            ping_pong_max: self.ping_pong_max.or(other.ping_pong_max),
            replan: self.replan.or(other.replan),
        }
    }
}

impl Rules {
    /// The stopping rules of an agent: its manifest's, and where that says nothing, the house's.
    pub fn stopping(&self, manifest: &Manifest) -> StoppingRules {
        manifest.limits.or(&self.book.house.limits)
    }

    /// Where a call would go and to which hosts, if a limit asks; what cannot be read is refused by its own check.
    pub fn places(&self, agent: &str, tool: &str, args: &Value) -> (Vec<String>, Vec<String>) {
        if !self.counts_places(agent, tool) {
            return Default::default();
        }
        let places = self.places_of(tool, args);
        let mut hosts: Vec<String> =
            places.iter().filter_map(|place| destination::host_of(place)).map(str::to_owned).collect();
        hosts.sort_unstable();
        hosts.dedup();
        (places, hosts)
    }

    /// Where a call would go, whoever asks.
    pub fn places_of(&self, tool: &str, args: &Value) -> Vec<String> {
        let known = self.tool(tool).and_then(|tool| destination::destinations(&tool.contract, args).ok());
        let mut places = known.unwrap_or_default();
        // One more than may be counted says that there are too many.
        places.truncate(PLACES_MAX + 1);
        places
    }

    /// Whether a limit asks where this agent's calls of this tool go.
    fn counts_places(&self, agent: &str, tool: &str) -> bool {
        let of_agent = self.agent(agent).is_some_and(|manifest| {
            let stopping = self.stopping(manifest);
            stopping.per_run.counts_places() || stopping.per_minute.counts_places()
        });
        of_agent
            || self.tool(tool).is_some_and(|tool| tool.contract.rate.per_destination_per_minute.is_some())
    }
}
