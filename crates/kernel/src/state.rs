//! State: what a lane remembers, and what all lanes must know. Both are folds of events and nothing else.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use foldhash::fast::FixedState;
use serde::{Deserialize, Serialize};
use stdx::digest::Digest;

use crate::approval::{Pending, Standing};
use crate::claim::{Claims, Touches};
use crate::habit::Habit;
use crate::halt::{Halt, Scope};
use crate::id::{CallId, KeyId, Mark, RunId};
use crate::lending::{ByAccount, Lending, Share};
use crate::rate::{AgentRates, ToolRates};
use crate::run::{OpenCall, Past, Refusals, Run};
use crate::session::Session;
use crate::snapshot::{sorted, sorted_shared};
use crate::time::Time;
use crate::window::AccountId;

/// Ids are Remit's own and half of them chance: a quick hash will do.
pub type ById<K, V> = HashMap<K, V, FixedState>;

/// One lane's state; its clerk alone owns it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Sequence of the last event folded in; 0 before the first.
    pub seq: u64,
    /// Time of that event: the ledger's time never goes back.
    pub last: Time,
    #[serde(serialize_with = "sorted")]
    pub runs: ById<RunId, Run>,
    /// The open run of each credential whose calls named none.
    #[serde(serialize_with = "sorted")]
    pub implicit: HashMap<KeyId, RunId>,
    #[serde(serialize_with = "sorted")]
    pub calls: ById<CallId, OpenCall>,
    pub due: BTreeSet<(Time, Due)>,
    /// Refusals of each agent outside its own open runs: never more entries than there are agents with keys.
    #[serde(serialize_with = "sorted")]
    pub refusals: HashMap<String, Refusals>,
    /// What each agent did in the last minute.
    #[serde(serialize_with = "sorted")]
    pub agent_rates: HashMap<String, AgentRates>,
    #[serde(serialize_with = "sorted")]
    pub tool_rates: HashMap<String, ToolRates>,
    /// How many lanes calls are dealt to, where it is more than one: no fold, but what the desk is told.
    #[serde(skip)]
    pub lanes: u16,
    /// The number of this lane: of its events.
    pub lane: u16,
    /// This lane's part in accounts wider than a run.
    #[serde(serialize_with = "sorted")]
    pub shares: ByAccount<Share>,
    /// When each of them may be forgotten.
    pub share_ends: BTreeSet<(Time, AccountId)>,
    /// Calls that wait for people.
    #[serde(serialize_with = "sorted")]
    pub pending: HashMap<CallId, Pending>,
    /// Those of them that somebody said yes to.
    pub answered: BTreeSet<CallId>,
    /// Bounded approvals in force, by the call that each was given for.
    pub standing: BTreeMap<CallId, Standing>,
    /// What each agent did before, as far as whoever is asked wants to know.
    #[serde(serialize_with = "sorted")]
    pub habits: HashMap<String, Habit>,
    /// How often each agent asked within the hour.
    #[serde(serialize_with = "sorted")]
    pub asks: HashMap<String, Hour>,
    /// Closed runs whose plans somebody may still take back, or must still look at.
    #[serde(serialize_with = "sorted")]
    pub past: HashMap<RunId, Past>,
    pub past_ends: BTreeSet<(Time, RunId)>,
    /// Messages from outside that were heeded lately.
    pub deliveries: BTreeMap<Mark, Time>,
}

impl State {
    /// The run, if it is this agent's own and still open.
    pub fn own_run(&self, run: RunId, agent: &str) -> Option<&Run> {
        self.runs.get(&run).filter(|open| open.agent == agent)
    }

    /// The run and those it descends from, itself first, be it open or not.
    pub fn chain(&self, run: RunId) -> Vec<RunId> {
        let above = self.lineage(run).skip(1).map(|(id, _)| id);
        std::iter::once(run).chain(above).collect()
    }

    /// The window in which a refusal of this agent counts.
    pub fn refusals(&self, run: Option<RunId>, agent: &str) -> Refusals {
        match run.and_then(|run| self.own_run(run, agent)) {
            Some(run) => run.refusals,
            None => self.refusals.get(agent).copied().unwrap_or_default(),
        }
    }
}

/// What happens by itself when its time comes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Due {
    Call(CallId),
    Run(RunId),
    Ask(CallId),
}

/// How often something happened since an hour began.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hour {
    pub count: u64,
    pub since: Time,
}

/// What the control lane says: rules, keys, halts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    pub seq: u64,
    pub last: Time,
    /// Digest of the active rules and the payload that holds their text.
    pub rules: Option<(Digest, Digest)>,
    /// Shared between snapshots of the law, because lending makes many and keys change seldom.
    #[serde(serialize_with = "sorted_shared")]
    pub keys: Arc<HashMap<KeyId, Key>>,
    pub halts: BTreeMap<Scope, Halt>,
    /// What lanes hold of accounts wider than a run.
    pub lending: Lending,
    /// What tool servers last said of their tools, by full name.
    pub seen: BTreeMap<String, Digest>,
    /// What runs have claimed.
    pub claims: Arc<Claims>,
    /// The last committed run that touched it, as long as one may be taken back.
    pub touched: Arc<Touches>,
    /// Browsers that are signed in, by the digest of their cookie.
    pub sessions: Arc<BTreeMap<Digest, Session>>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    pub agent: String,
    pub hash: Digest,
    pub expires: Time,
    /// The person it was given to.
    #[serde(default)]
    pub person: Option<String>,
}

impl Control {
    /// The person whom a credential was given to.
    pub fn given_to(&self, credential: Option<KeyId>) -> Option<&str> {
        self.keys.get(&credential?)?.person.as_deref()
    }
}
