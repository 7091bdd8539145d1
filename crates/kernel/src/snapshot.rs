//! Snapshots: a fold as bytes, so that a start folds only what came after it. Whoever distrusts one folds the log.
//!
//! A line that says what it is, then one JSON body with its maps in order. The line holds a title, the digest of the
//! sources that the fold is made of, and the digest of the body; a snapshot that differs in any of them is not read.
//! A snapshot holds what the fold remembers and nothing else: names, ids, numbers, marks and digests, and never
//! the content of a payload; so an erased payload is in no snapshot.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use stdx::digest::Digest;

use crate::event::{Event, Stamp};
use crate::state::{Control, State};

/// What is folded from the events of one lane.
pub trait Fold: Default + Serialize + DeserializeOwned {
    /// Sequence of the last event folded in; 0 before the first.
    fn seq(&self) -> u64;

    fn apply(&mut self, stamp: &Stamp, event: &Event);
}

impl Fold for State {
    fn seq(&self) -> u64 {
        self.seq
    }

    fn apply(&mut self, stamp: &Stamp, event: &Event) {
        self.apply(stamp, event);
    }
}

impl Fold for Control {
    fn seq(&self) -> u64 {
        self.seq
    }

    fn apply(&mut self, stamp: &Stamp, event: &Event) {
        self.apply(stamp, event);
    }
}

/// Raised when the body changes by something outside `SOURCES`.
const FORMAT: u32 = 1;

/// All that says what the fold remembers and how an event changes it. A changed comment costs one long start; a
/// forgotten version would cost a wrong account.
const SOURCES: [(&str, &str); 40] = [
    ("account", include_str!("account.rs")),
    ("apply", include_str!("apply.rs")),
    ("approval", include_str!("approval.rs")),
    ("balance", include_str!("balance.rs")),
    ("calendar", include_str!("calendar.rs")),
    ("call", include_str!("call.rs")),
    ("claim", include_str!("claim.rs")),
    ("command", include_str!("command.rs")),
    ("deed", include_str!("deed.rs")),
    ("effect", include_str!("effect.rs")),
    ("event", include_str!("event.rs")),
    ("event_approvals", include_str!("event/approvals.rs")),
    ("event_people", include_str!("event/people.rs")),
    ("event_plans", include_str!("event/plans.rs")),
    ("event_slices", include_str!("event/slices.rs")),
    ("family", include_str!("family.rs")),
    ("follow", include_str!("follow.rs")),
    ("habit", include_str!("habit.rs")),
    ("halt", include_str!("halt.rs")),
    ("id", include_str!("id.rs")),
    ("lending", include_str!("lending.rs")),
    ("obligation", include_str!("obligation.rs")),
    ("pace", include_str!("pace.rs")),
    ("phase", include_str!("phase.rs")),
    ("plan", include_str!("plan.rs")),
    ("progress", include_str!("progress.rs")),
    ("proposal", include_str!("proposal.rs")),
    ("rate", include_str!("rate.rs")),
    ("reason", include_str!("reason.rs")),
    ("run", include_str!("run.rs")),
    ("saga", include_str!("saga.rs")),
    ("session", include_str!("session.rs")),
    ("snapshot", include_str!("snapshot.rs")),
    ("state", include_str!("state.rs")),
    ("steer", include_str!("steer.rs")),
    ("threshold", include_str!("threshold.rs")),
    ("time", include_str!("time.rs")),
    ("undo", include_str!("undo.rs")),
    ("verdict", include_str!("verdict.rs")),
    ("window", include_str!("window.rs")),
];

static FOLD: LazyLock<Digest> = LazyLock::new(|| {
    let each = SOURCES.iter().flat_map(|(_, text)| Digest::of(text.as_bytes()).0);
    Digest::of(&each.collect::<Vec<u8>>())
});

/// The title says of what and of which moment it is.
pub fn write<F: Fold>(title: &str, fold: &F) -> Vec<u8> {
    // Nothing that serde could refuse is in a fold; if ever it were, an empty body is one that nobody reads.
    let body = serde_json::to_vec(fold).unwrap_or_default();
    let mut bytes = head(title, &body).into_bytes();
    bytes.extend(body);
    bytes
}

/// None: not of this title, not of this build's fold, or not whole.
pub fn read<F: Fold>(title: &str, bytes: &[u8]) -> Option<F> {
    let end = bytes.iter().position(|byte| *byte == b'\n')? + 1;
    let (found, body) = bytes.split_at_checked(end)?;
    if found != head(title, body).as_bytes() {
        return None;
    }
    serde_json::from_slice(body).ok()
}

fn head(title: &str, body: &[u8]) -> String {
    format!("remit snapshot {FORMAT} of {title}, fold {}, body {}\n", *FOLD, Digest::of(body))
}

/// The same state is the same bytes, whatever order its maps are in.
pub(crate) fn sorted<K: Ord + Serialize, V: Serialize, H, S: Serializer>(
    map: &HashMap<K, V, H>,
    out: S,
) -> Result<S::Ok, S::Error> {
    out.collect_map(map.iter().collect::<BTreeMap<_, _>>())
}

pub(crate) fn sorted_shared<K: Ord + Serialize, V: Serialize, S: Serializer>(
    map: &std::sync::Arc<HashMap<K, V>>,
    out: S,
) -> Result<S::Ok, S::Error> {
    sorted(map, out)
}

#[cfg(test)]
mod tests;
