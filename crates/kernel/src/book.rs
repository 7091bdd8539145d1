//! The book: everything people wrote for Remit to go by, resolved. Its digest is the version of the rules.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stdx::digest::Digest;
use stdx::json::canonical;

use crate::account::Limits;
use crate::agent::Manifest;
use crate::approvers::Approvals;
use crate::calendar::Calendar;
use crate::contract::Contract;
use crate::stopping::StoppingRules;
use crate::threshold::{self, Threshold};
use crate::window::Window;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Book {
    pub agents: BTreeMap<String, Manifest>,
    pub house: House,
    pub rules: Vec<RuleFile>,
    /// By full name, `server.tool`.
    pub tools: BTreeMap<String, Contract>,
}

/// What holds for everybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct House {
    pub tenant: String,
    pub allow_permits: bool,
    /// `approvals`, and the people who may answer.
    #[serde(skip_serializing_if = "Approvals::is_usual")]
    pub approvals: Approvals,
    /// `quotas.max_actions_per_prompt`
    pub calls_per_run_max: u64,
    /// `audit.capture_reasoning`
    pub capture_reasoning: bool,
    pub run_ttl_ms: u64,
    /// A run of calls that named none is closed after so long without a call.
    pub implicit_idle_ms: u64,
    pub permit_ttl_ms: u64,
    pub permit_grace_ms: u64,
    /// `calendar.zone`
    #[serde(flatten)]
    pub calendar: Calendar,
    /// `tenants.*.budget`
    pub tenants: BTreeMap<String, BTreeMap<Window, Limits>>,
    /// `gates`
    pub thresholds: Vec<Threshold>,
    /// `quotas.circuit_breaker`: a run that wants more than its budget waits for a person.
    pub pauses: bool,
    /// `quotas.max_compute_tokens`
    pub tokens_per_run_max: Option<u64>,
    /// `delegation.max_depth`
    pub depth_max: u64,
    /// `delegation.max_children`
    pub children_max: u64,
    /// Refusals of one run that are recorded one by one in a minute; the rest are counted in one event.
    pub refusals_per_minute_max: u64,
    /// What holds for each agent whose manifest does not say otherwise.
    pub limits: StoppingRules,
}

impl Default for House {
    fn default() -> House {
        House {
            tenant: "default".to_owned(),
            allow_permits: false,
            approvals: Approvals::default(),
            calls_per_run_max: 200,
            capture_reasoning: true,
            run_ttl_ms: 3_600_000,
            implicit_idle_ms: 1_800_000,
            permit_ttl_ms: 60_000,
            permit_grace_ms: 30_000,
            refusals_per_minute_max: 60,
            limits: StoppingRules::usual(),
            calendar: Calendar::default(),
            tenants: BTreeMap::new(),
            thresholds: threshold::usual(),
            pauses: false,
            tokens_per_run_max: None,
            depth_max: 3,
            children_max: 32,
        }
    }
}

/// Free rules, as they were written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleFile {
    pub file: String,
    pub text: String,
}

/// Where a person wrote something.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Origin {
    pub file: String,
    pub line: usize,
    pub column: usize,
}

impl Book {
    pub fn digest(&self) -> Digest {
        Digest::of(&self.text())
    }

    /// The bytes that the digest is of, and that the ledger keeps for ever.
    pub fn text(&self) -> Vec<u8> {
        canonical(self)
    }
}
