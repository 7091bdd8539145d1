//! One rule, ready to be decided by.

use std::sync::Arc;

use cedar_policy::{
    ActionConstraint, Effect, EntityUid, Policy, PolicyId, PrincipalConstraint, ResourceConstraint,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::catalog::{Agent, Tool};
use crate::problem::{Place, line_and_column};
use crate::reads::Reads;
use crate::when::When;

/// What `@applies` may say.
pub(crate) const UNDO: &str = "undo";

/// A rule as people cite it.
// Fields stand in alphabetical order, because it is stored in events: serde's plain output must be canonical.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleRef {
    pub file: String,
    pub forbids: bool,
    pub id: String,
    pub line: usize,
    /// The condition of a manifest entry, the `@reason` of a free rule, or else its source line.
    pub words: String,
}

#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) about: Arc<RuleRef>,
    pub(crate) source: Source,
    /// As written, for the whole set and the validator.
    pub(crate) policy: Policy,
    /// Without its scope, for slices: there the scope is known to hold.
    pub(crate) bare: Policy,
    pub(crate) scope: Scope,
    pub(crate) reads: Reads,
    pub(crate) clauses: Vec<Clause>,
    /// It also binds what takes a deed back, by its `@applies("undo")`.
    pub(crate) of_undo: bool,
}

/// A condition in Cedar's JSON form; not `when` means `unless`.
#[derive(Clone, Debug)]
pub(crate) struct Clause {
    pub(crate) when: bool,
    pub(crate) body: Value,
}

/// Where the text came from, to find the way back to it.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    House {
        text: String,
    },
    Manifest {
        text: String,
        when_at: usize,
        when: Option<When>,
        when_place: Place,
        entry: Place,
        to: Vec<String>,
        ask: Option<String>,
    },
    Free {
        text: Arc<str>,
        place: Place,
        at: usize,
    },
}

impl Source {
    /// Where the byte range of the parsed text stands in what a person wrote.
    pub(crate) fn place(&self, range: Option<(usize, usize)>) -> Place {
        match self {
            Self::House { .. } => Place::default(),
            Self::Free { text, place, at } => {
                let (start, length) = range.unwrap_or((*at, 0));
                let (line, column) = line_and_column(text, start);
                Place { file: place.file.clone(), line, column, length }
            }
            Self::Manifest { when: Some(when), when_at, when_place, entry, .. } => match range {
                Some((start, length)) if start >= *when_at && start <= when_at + when.cedar.len() => {
                    when_span(when, when_place, start - when_at, length)
                }
                _ => entry.clone(),
            },
            Self::Manifest { entry, .. } => entry.clone(),
        }
    }
}

/// The place in a manifest of a range of the Cedar text of its `when`.
pub(crate) fn when_span(when: &When, origin: &Place, start: usize, length: usize) -> Place {
    let (from, to) = (when.back(start), when.back(start + length));
    let (line, column) = line_and_column(&when.original, from);
    let column = if line == 1 { origin.column + column - 1 } else { column };
    Place { file: origin.file.clone(), line: origin.line + line - 1, column, length: to - from }
}

// ---- Scope ---------------------------------------------------------------------------------------------------

/// Whom and what a rule is about; all of it is known before any request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) principal: Part,
    pub(crate) action: Vec<Part>,
    pub(crate) resource: Part,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Any,
    Is(EntityUid),
    In(EntityUid),
    Never,
}

impl Part {
    fn holds(&self, own: &EntityUid, within: &std::collections::HashSet<EntityUid>) -> bool {
        match self {
            Self::Any => true,
            Self::Is(uid) => uid == own,
            Self::In(uid) => within.contains(uid),
            Self::Never => false,
        }
    }
}

impl Scope {
    fn of(policy: &Policy) -> Self {
        let typed = |is: bool, part: Part| if is { part } else { Part::Never };
        let principal = match policy.principal_constraint() {
            PrincipalConstraint::Any => Part::Any,
            PrincipalConstraint::Eq(uid) => Part::Is(uid),
            PrincipalConstraint::In(uid) => Part::In(uid),
            PrincipalConstraint::Is(kind) => typed(kind.to_string() == "Remit::Agent", Part::Any),
            PrincipalConstraint::IsIn(kind, uid) => typed(kind.to_string() == "Remit::Agent", Part::In(uid)),
        };
        let action = match policy.action_constraint() {
            ActionConstraint::Any => vec![Part::Any],
            ActionConstraint::Eq(uid) => vec![Part::Is(uid)],
            ActionConstraint::In(uids) => uids.into_iter().map(Part::In).collect(),
        };
        let resource = match policy.resource_constraint() {
            ResourceConstraint::Any => Part::Any,
            ResourceConstraint::Eq(uid) => Part::Is(uid),
            ResourceConstraint::In(uid) => Part::In(uid),
            ResourceConstraint::Is(kind) => typed(kind.to_string() == "Remit::Tool", Part::Any),
            ResourceConstraint::IsIn(kind, uid) => typed(kind.to_string() == "Remit::Tool", Part::In(uid)),
        };
        Self { principal, action, resource }
    }

    pub(crate) fn covers_agent(&self, agent: &Agent) -> bool {
        self.principal.holds(&agent.uid, &agent.within)
    }

    pub(crate) fn covers_tool(&self, tool: &Tool) -> bool {
        self.action.iter().any(|part| part.holds(&tool.action, &tool.action_within))
            && self.resource.holds(&tool.resource, &tool.resource_within)
    }

    pub(crate) fn names_no_tool(&self) -> bool {
        self.action == [Part::Any] && self.resource == Part::Any
    }
}

// ---- Rule ----------------------------------------------------------------------------------------------------

impl Rule {
    /// `index` becomes the Cedar id, so that Cedar's answers lead back without a look-up.
    pub(crate) fn new(index: usize, policy: Policy, about: RuleRef, source: Source) -> Result<Self, String> {
        let policy = policy.new_id(PolicyId::new(index.to_string()));
        let json = policy.to_json().map_err(|error| error.to_string())?;
        let conditions = json.get("conditions").cloned().unwrap_or_else(|| json!([]));
        let clauses = conditions.as_array().into_iter().flatten().map(clause).collect::<Option<Vec<_>>>();
        let clauses = clauses.ok_or("Cedar gave a condition in an unknown form")?;
        let mut reads = Reads::default();
        for clause in &clauses {
            reads.merge(&Reads::of(&clause.body));
        }
        let bare = bare(policy.id().clone(), about.forbids, conditions)?;
        let (about, scope) = (Arc::new(about), Scope::of(&policy));
        let of_undo = policy.annotation("applies") == Some(UNDO);
        Ok(Self { about, source, scope, policy, bare, reads, clauses, of_undo })
    }

    /// The one tool that a manifest entry names, if its conditions name no other part of the world.
    pub(crate) fn only_tool(&self) -> Option<&str> {
        let [Part::Is(action)] = self.scope.action.as_slice() else { return None };
        let plain = !self.reads.entities
            && self.clauses.iter().all(|clause| !clause.body.to_string().contains("__entity"));
        (plain && matches!(self.source, Source::Manifest { .. })).then(|| action.id().unescaped())
    }

    pub(crate) fn is_unconditional(&self) -> bool {
        self.clauses.is_empty()
    }

    pub(crate) fn is_free_permit(&self) -> bool {
        !self.about.forbids && matches!(self.source, Source::Free { .. })
    }

    pub(crate) fn place(&self) -> Place {
        self.source.place(None)
    }
}

fn clause(condition: &Value) -> Option<Clause> {
    let when = match condition.get("kind")?.as_str()? {
        "when" => true,
        "unless" => false,
        _ => return None,
    };
    Some(Clause { when, body: condition.get("body")?.clone() })
}

/// A rule about anybody and anything, with these conditions.
pub(crate) fn bare(id: PolicyId, forbids: bool, conditions: Value) -> Result<Policy, String> {
    let effect = if forbids { "forbid" } else { "permit" };
    let json = json!({
        "effect": effect, "principal": { "op": "All" }, "action": { "op": "All" }, "resource": { "op": "All" },
        "conditions": conditions,
    });
    Policy::from_json(Some(id), json).map_err(|error| error.to_string())
}

pub(crate) fn forbids(policy: &Policy) -> bool {
    policy.effect() == Effect::Forbid
}
