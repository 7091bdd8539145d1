//! Obligations: what an Allow is bound to while an account is as full as its gate `degrade` says: smaller pages, a
//! cheaper tool, a cheaper model.
//!
//! A call that is not yet what it must be is given back, is drafted anew as what it must be, and is decided as that: so
//! what the rules see is what leaves the house. Only single calls are bound: the steps of a plan were priced, and a
//! call that people said yes to was read, as they are.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::account::said_of;
use crate::id::RunId;
use crate::window::AccountId;

/// What binds an Allow.
// Fields stand in alphabetical order, so that serde writes the canonical bytes (see `event`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Obligation {
    /// A number in the arguments is no more than this.
    Cap { at: Vec<String>, most: u64 },
    /// `tool` is called in the place of the one that was asked for.
    Instead { of: String, tool: String },
    /// A model of this class, and no dearer one.
    Model { class: String },
}

/// The account that has come to its gate `degrade`, as full as it was then; of several the fullest.
// Fields stand in alphabetical order, so that serde writes the canonical bytes (see `event`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Level {
    /// Of a run above the call's own. None, and no account: of its own run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<RunId>,
    /// Wider than a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// By its key, or the name of what is counted.
    pub currency: String,
    /// Where the gate stands.
    pub gate: u64,
    pub limit: u64,
    pub percent: u64,
}

/// What an executor may say that it heeds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Cap,
    Instead,
    Model,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Cap => "cap",
            Kind::Instead => "instead",
            Kind::Model => "model",
        }
    }
}

/// What a contract has for the time when there is less to spend. Arguments and tools are changed of reads only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Degrade {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub caps: Vec<Cap>,
    /// The class of model that is enough then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The full name of a cheaper tool that takes the same arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
}

/// An argument, by member names from the root, and the most that it may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cap {
    pub at: Vec<String>,
    pub most: u64,
}

/// What a call is bound to, and what its executor heeds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    pub by: Vec<Obligation>,
    pub heeds: Vec<Kind>,
    /// Why it is bound.
    pub level: Option<Box<Level>>,
}

impl Degrade {
    pub fn is_none(&self) -> bool {
        *self == Degrade::default()
    }
}

impl Level {
    /// How full it was, and whose it is.
    pub fn says(&self) -> String {
        let budget = format!("budget of {}", said_of(self.limit, &self.currency));
        let whose = match (&self.account, &self.above) {
            (Some(id), _) => format!("the {}'s {budget} of {}", id.window.name(), id.owner),
            (None, Some(run)) => format!("the {budget} of the run above, {run},"),
            (None, None) => format!("the run's {budget}"),
        };
        format!(
            "{} % of {whose} is spent or set aside, and its gate `degrade` is at {} %",
            self.percent, self.gate
        )
    }
}

impl Obligation {
    pub fn kind(&self) -> Kind {
        match self {
            Obligation::Cap { .. } => Kind::Cap,
            Obligation::Instead { .. } => Kind::Instead,
            Obligation::Model { .. } => Kind::Model,
        }
    }

    /// In words, for whoever asked for something else.
    pub fn says(&self) -> String {
        match self {
            Obligation::Cap { at, most } => format!("`{}` is {most} at most", at.join(".")),
            Obligation::Instead { of, tool } => format!("`{tool}` stands in the place of `{of}`"),
            Obligation::Model { class } => format!("a model of the class `{class}`, and no dearer one"),
        }
    }

    /// The same, and why.
    pub fn says_why(&self, level: Option<&Level>) -> String {
        // Of a decision from before levels were kept.
        let unknown = || "a budget has come to its gate `degrade`".to_owned();
        format!("{}, because {}", self.says(), level.map_or_else(unknown, Level::says))
    }

    /// To the argument that it is about.
    pub fn pointer(&self) -> Option<String> {
        let Obligation::Cap { at, .. } = self else { return None };
        Some(at.iter().map(|name| format!("/{}", name.replace('~', "~0").replace('/', "~1"))).collect())
    }

    /// The arguments as they must be; none, if they are that, or cannot be.
    pub fn capped(&self, args: &Value) -> Option<Value> {
        let Obligation::Cap { at, most } = self else { return None };
        let (last, way) = at.split_last()?;
        let mut capped = args.clone();
        let mut place = &mut capped;
        for name in way {
            let Value::Object(members) = place else { return None };
            place = members.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
        }
        let Value::Object(members) = place else { return None };
        match members.get(last) {
            // A number that is not whole, or is below nothing, may mean all there is.
            Some(Value::Number(number)) if number.as_u64().is_some_and(|value| value <= *most) => None,
            // Without it there may be no end of it.
            None | Some(Value::Number(_)) => {
                members.insert(last.clone(), (*most).into());
                Some(capped)
            }
            // Its schema says what it thinks of that.
            Some(_) => None,
        }
    }
}
