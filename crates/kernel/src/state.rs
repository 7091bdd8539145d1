//! State: what a lane remembers, and what all lanes must know. Both are folds of events and nothing else.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use stdx::digest::Digest;

use crate::halt::{Halt, Scope};
use crate::id::{CallId, KeyId, RunId};
use crate::run::{OpenCall, Run};
use crate::time::Time;

/// One lane's state; its clerk alone owns it.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Sequence of the last event folded in; 0 before the first.
    pub seq: u64,
    /// Time of that event: the ledger's time never goes back.
    pub last: Time,
    pub runs: HashMap<RunId, Run>,
    pub calls: HashMap<CallId, OpenCall>,
    pub due: BTreeSet<(Time, Due)>,
}

/// What happens by itself when its time comes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Due {
    Call(CallId),
    Run(RunId),
}

/// What the control lane says: rules, keys, halts.
#[derive(Clone, Debug, Default)]
pub struct Control {
    pub seq: u64,
    pub last: Time,
    /// Digest of the active rules and the payload that holds their text.
    pub rules: Option<(Digest, Digest)>,
    pub keys: HashMap<KeyId, Key>,
    pub halts: BTreeMap<Scope, Halt>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    pub agent: String,
    pub hash: Digest,
    pub expires: Time,
}
