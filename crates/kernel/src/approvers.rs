//! Approvers: which people answer for which group, how many of them must say yes, and who else may after a while.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::approval::plain_name;
use crate::risk::Weights;
use crate::time::Time;

/// What a proposal of an agent in mode `propose` waits for: its owner alone.
const OWNER: &str = "owner:";
/// Who pauses a run that asks too often.
pub const ASK_QUOTA: &str = "ask_quota";

/// What holds for all approvals of a house.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Approvals {
    /// No answer until then is a no.
    pub expires_ms: u64,
    /// Groups for which more holds than that one yes of a member is enough.
    pub groups: BTreeMap<String, Group>,
    /// How long a door holds a call open whose client cannot wait otherwise.
    pub hold_ms: u64,
    /// The people of the configuration, and the groups that each answers for.
    pub people: BTreeMap<String, BTreeSet<String>>,
    pub per_agent_hour_max: u64,
    pub per_run_max: u64,
    /// Whoever says yes to a call of this risk or more says why.
    pub reason_from: u64,
    pub risk: Weights,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalate: Option<Escalation>,
    pub quorum: u64,
}

/// After a while the members of another group may answer for this one, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escalation {
    pub after_ms: u64,
    pub to: String,
}

impl Default for Approvals {
    fn default() -> Approvals {
        Approvals {
            expires_ms: 24 * 3_600_000,
            groups: BTreeMap::new(),
            hold_ms: 25_000,
            people: BTreeMap::new(),
            per_agent_hour_max: 60,
            per_run_max: 20,
            reason_from: 60,
            risk: Weights::default(),
        }
    }
}

impl Default for Group {
    fn default() -> Group {
        Group { escalate: None, quorum: 1 }
    }
}

impl Approvals {
    pub fn is_usual(&self) -> bool {
        *self == Approvals::default()
    }

    /// The group of one that a proposal waits for.
    pub fn owner_group(owner: &str) -> String {
        format!("{OWNER}{owner}")
    }

    pub fn quorum(&self, group: &str) -> u64 {
        self.groups.get(group).map_or(1, |group| group.quorum.max(1))
    }

    pub fn escalation(&self, group: &str) -> Option<&Escalation> {
        self.groups.get(group)?.escalate.as_ref()
    }

    /// Whether this person answers for a group, by their own role.
    pub fn is_member(&self, person: &str, group: &str) -> bool {
        let Some(groups) = self.people.get(person) else { return false };
        groups.contains(group) || group.strip_prefix(OWNER) == Some(person)
    }

    /// Whether this person may answer for a group that was asked then: by their role, or because nobody answered.
    pub fn answers_for(&self, person: &str, group: &str, asked: Time, now: Time) -> bool {
        let escalated = self.escalation(group).filter(|escalation| now >= asked.plus_ms(escalation.after_ms));
        self.is_member(person, group)
            || escalated.is_some_and(|escalation| self.is_member(person, &escalation.to))
    }

    /// Everybody who may answer for a group, now or once it has escalated, but for whom the call is made.
    pub fn approvers<'a>(
        &'a self,
        group: &'a str,
        but: &'a BTreeSet<String>,
    ) -> impl Iterator<Item = &'a str> {
        let people = self.people.keys().filter(move |person| !but.contains(&plain_name(person)));
        people
            .map(String::as_str)
            .filter(move |person| self.answers_for(person, group, Time(0), Time(u64::MAX)))
    }

    /// Whether enough people can say yes for a group at all.
    pub fn can_approve(&self, group: &str, but: &BTreeSet<String>) -> bool {
        let able = u64::try_from(self.approvers(group, but).count()).unwrap_or(u64::MAX);
        able >= self.quorum(group)
    }
}
