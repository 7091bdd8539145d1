//! `approvals`: how people are asked, how many of them must say yes, and what makes a call risky.

use std::collections::{BTreeMap, BTreeSet};

use api::person::Role;
use kernel::approvers::{self, Escalation};
use kernel::risk::Weights;
use schemars::JsonSchema;
use serde::Deserialize;
use stdx::duration::format_ms;
use stdx::nearest::nearest;

use super::Person;
use super::yaml::{At, Page};

const EXPIRES_MS_MAX: u64 = 30 * 86_400_000;
const HOLD_MS_MAX: u64 = 120_000;
const SCORE_MAX: u64 = 100;

fn usual() -> approvers::Approvals {
    approvers::Approvals::default()
}

/// How people are asked. Who may answer is in `people`: `approver:<group>`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct Approvals {
    /// No answer for so long is a no, such as `24h`; at most 30 days. No call waits longer than its run is open.
    #[schemars(extend("default" = format_ms(usual().expires_ms)))]
    expires: Option<At<String>>,
    /// Groups for which one yes is not enough, or for which others may answer after a while.
    #[serde(default)]
    groups: BTreeMap<String, At<GroupEntry>>,
    /// How long a call of an MCP client is held open that cannot wait otherwise; at most 2m.
    #[schemars(extend("default" = format_ms(usual().hold_ms)))]
    hold: Option<At<String>>,
    /// Questions that one run may put to people; with one more it is paused, and that one is not shown.
    #[schemars(extend("default" = usual().per_run_max))]
    per_run: Option<At<u64>>,
    /// Questions that all runs of an agent together may put to people in an hour.
    #[schemars(extend("default" = usual().per_agent_hour_max))]
    per_hour: Option<At<u64>>,
    /// From this risk on, of 100, a yes must come with a reason; 101 asks for none.
    #[schemars(extend("default" = usual().reason_from))]
    reason_from: Option<At<u64>>,
    /// What a risk of 100 is made of.
    risk: Option<Risk>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct GroupEntry {
    /// So many of the group must say yes, each of them for themselves.
    #[schemars(extend("default" = 1))]
    quorum: Option<At<u64>>,
    /// Who else may answer for it when nobody did.
    escalate: Option<Escalate>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct Escalate {
    /// After so long, such as `30m`.
    after: At<String>,
    /// The group that may answer, too.
    to: At<String>,
}

/// Points of each part; what they sum to above 100 counts as 100.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct Risk {
    /// It costs more than this agent ever spent in one call of this tool.
    #[schemars(extend("default" = usual().risk.amount))]
    amount: Option<u64>,
    /// It goes where no approved call of this agent went.
    #[schemars(extend("default" = usual().risk.destination))]
    destination: Option<u64>,
    /// It is the first write of this agent with this tool.
    #[schemars(extend("default" = usual().risk.first_use))]
    first_use: Option<u64>,
    /// It comes on a weekend, or outside `work`.
    #[schemars(extend("default" = usual().risk.hour))]
    hour: Option<u64>,
    /// It cannot be undone.
    #[schemars(extend("default" = usual().risk.irreversible))]
    irreversible: Option<u64>,
    /// The tool's contract carries labels.
    #[schemars(extend("default" = usual().risk.labels))]
    labels: Option<u64>,
    /// It writes what can be undone.
    #[schemars(extend("default" = usual().risk.reversible))]
    reversible: Option<u64>,
    /// Working hours by the house's calendar: from this hour on, to before that one.
    #[schemars(extend("default" = [usual().risk.work_from, usual().risk.work_until]))]
    work: Option<At<Vec<u64>>>,
}

/// Who may answer, by the roles of `people`; and what `approvals` says of it.
pub(super) fn law(
    page: &mut Page<'_>,
    written: Option<&Approvals>,
    people: &[Person],
) -> approvers::Approvals {
    let mut law = usual();
    law.people = people.iter().map(|person| (person.name.clone(), groups(person))).collect();
    let Some(written) = written else { return law };
    let known: BTreeSet<&str> = law.people.values().flatten().map(String::as_str).collect();
    let known: BTreeSet<String> = known.into_iter().map(str::to_owned).collect();
    if let Some(at) = &written.expires {
        law.expires_ms = page.duration_ms(at, 1_000, EXPIRES_MS_MAX);
    }
    if let Some(at) = &written.hold {
        law.hold_ms = page.duration_ms(at, 1_000, HOLD_MS_MAX);
    }
    law.per_run_max = written.per_run.as_ref().map_or(law.per_run_max, |at| page.at_least_one(at));
    law.per_agent_hour_max =
        written.per_hour.as_ref().map_or(law.per_agent_hour_max, |at| page.at_least_one(at));
    if let Some(at) = &written.reason_from {
        law.reason_from = at.value;
        if at.value > SCORE_MAX + 1 {
            page.error("number", at.place, format!("no risk is {}", at.value)).help("0 to 101");
        }
    }
    if let Some(risk) = &written.risk {
        law.risk = risk.weights(page);
    }
    for (name, at) in &written.groups {
        let group = at.value.group(page, &known);
        check_group(page, name, at, &law, group.quorum);
        law.groups.insert(name.clone(), group);
    }
    law
}

fn groups(person: &Person) -> BTreeSet<String> {
    let group = |role: &Role| match role {
        Role::Approver(group) => Some(group.clone()),
        Role::Viewer | Role::Auditor | Role::Operator => None,
    };
    person.roles.iter().filter_map(group).collect()
}

fn check_group(
    page: &mut Page<'_>,
    name: &str,
    at: &At<GroupEntry>,
    law: &approvers::Approvals,
    quorum: u64,
) {
    let members = law.people.values().filter(|groups| groups.contains(name)).count();
    if u64::try_from(members).unwrap_or(u64::MAX) < quorum {
        let message = format!("`{name}` needs {quorum} to say yes, and has {members}");
        page.warning("ask", at.place, message)
            .help(format!("give more of `people` the role `approver:{name}`"));
    }
}

impl GroupEntry {
    fn group(&self, page: &mut Page<'_>, known: &BTreeSet<String>) -> approvers::Group {
        let escalate = self.escalate.as_ref().map(|escalate| {
            let to = &escalate.to;
            if !known.contains(&to.value) {
                let near = nearest(&to.value, known.iter().map(String::as_str));
                let help = near.map_or_else(
                    || format!("give somebody in `people` the role `approver:{}`", to.value),
                    |name| format!("did you mean `{name}`?"),
                );
                page.warning("ask", to.place, format!("nobody can approve for `{}`", to.value)).help(help);
            }
            let after_ms = page.duration_ms(&escalate.after, 1_000, EXPIRES_MS_MAX);
            Escalation { after_ms, to: to.value.clone() }
        });
        let quorum = self.quorum.as_ref().map_or(1, |at| page.at_least_one(at));
        approvers::Group { escalate, quorum }
    }
}

impl Risk {
    fn weights(&self, page: &mut Page<'_>) -> Weights {
        let usual = Weights::default();
        let hours = self.work.as_ref().map(|at| (at.place, at.value.as_slice()));
        let (work_from, work_until) = match hours {
            None => (usual.work_from, usual.work_until),
            Some((_, [from, until])) if from < until && *until <= 24 => (*from, *until),
            Some((place, _)) => {
                page.error("hours", place, "these are no working hours").help("such as `[7, 19]`");
                (usual.work_from, usual.work_until)
            }
        };
        Weights {
            amount: self.amount.unwrap_or(usual.amount),
            destination: self.destination.unwrap_or(usual.destination),
            first_use: self.first_use.unwrap_or(usual.first_use),
            hour: self.hour.unwrap_or(usual.hour),
            irreversible: self.irreversible.unwrap_or(usual.irreversible),
            labels: self.labels.unwrap_or(usual.labels),
            reversible: self.reversible.unwrap_or(usual.reversible),
            work_from,
            work_until,
        }
    }
}
