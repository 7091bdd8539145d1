//! An agent: an identity of its own, and the manifest that says what it may do.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stdx::glob;

use crate::account::Limits;
use crate::before::Before;
use crate::book::Origin;
use crate::contract::Effect;
use crate::price::Count;
use crate::progress::{OnFailure, OnHalt};
use crate::stopping::StoppingRules;
use crate::threshold::Threshold;
use crate::window::Window;

/// How an agent's calls are treated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Decide and record, hinder only what must always be hindered.
    Observe,
    /// Writes become proposals that a person answers.
    Propose,
    #[default]
    Enforce,
}

impl Mode {
    /// Of several that are meant for one call, the strictest holds.
    pub(crate) fn strictness(self) -> u8 {
        match self {
            Mode::Observe => 0,
            Mode::Enforce => 1,
            Mode::Propose => 2,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Mode::Observe => "observe",
            Mode::Propose => "propose",
            Mode::Enforce => "enforce",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub agent: String,
    pub owner: String,
    pub purpose: String,
    pub tenant: String,
    pub groups: Vec<String>,
    pub env: String,
    /// Other environments it may act in.
    pub crosses: Vec<String>,
    pub mode: Mode,
    /// In place of it, by what a call does.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub modes: BTreeMap<Effect, Mode>,
    pub phases: bool,
    #[serde(default, skip_serializing_if = "CommitRules::is_usual")]
    pub commits: CommitRules,
    /// May ask for decisions and carry calls out itself, and ask on behalf of other subjects.
    pub executor: bool,
    pub may: Vec<May>,
    /// What one run may spend.
    pub per_run: Limits,
    #[serde(default)]
    pub limits: StoppingRules,
    /// What all its runs together may spend in an hour, a day, a month.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub windows: BTreeMap<Window, Limits>,
    /// In place of the house's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<Vec<Threshold>>,
    pub origin: Origin,
}

impl Manifest {
    /// By what a call does, or by the lines that name its tool.
    pub fn mode_of(&self, tool: &str, effect: Effect) -> Mode {
        let usual = self.modes.get(&effect).copied().unwrap_or(self.mode);
        let lines = self.may.iter().filter(|may| glob::matches(&may.tool, tool));
        let modes = lines.map(|may| may.mode.unwrap_or(usual));
        modes.max_by_key(|mode| mode.strictness()).unwrap_or(usual)
    }
}

/// What holds for the plans of an agent, and for its writes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CommitRules {
    /// Reads that must come before a write.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<Before>,
    pub on_failure: OnFailure,
    pub on_halt: OnHalt,
}

impl CommitRules {
    pub fn is_usual(&self) -> bool {
        *self == CommitRules::default()
    }
}

/// One line of a manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct May {
    /// `refund-desk.may[2]`
    pub id: String,
    /// A full name, or a pattern such as `crm.*`.
    pub tool: String,
    pub when: Option<String>,
    pub when_origin: Option<Origin>,
    pub to: Vec<String>,
    pub ask: Option<String>,
    pub calls_per_run_max: Option<u64>,
    /// Of all the agent's runs together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls_per_minute_max: Option<u64>,
    /// Arguments that are a currency of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counts: Vec<Count>,
    pub mode: Option<Mode>,
    pub origin: Origin,
}
