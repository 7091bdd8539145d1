//! The words for where a plan stands, and for what to do next: the same for agents, people and every door.

use kernel::plan::PlanVerdict;
use kernel::progress::{Stage, StepState};
use kernel::verdict::Ruling;

use crate::shown::{PlanShown, StepShown};

impl PlanShown {
    /// Where it stands, in a sentence.
    pub fn says(&self) -> String {
        let all = self.steps.len();
        let done = self.ids(|step| step.state == StepState::Done);
        // What a step says of itself is not said twice.
        let is_told = |why: &&String| self.steps.iter().any(|step| step.trouble.as_ref() == Some(why));
        let why = self.why.as_ref().filter(|why| !is_told(why));
        let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
        let mut says = match self.stage {
            Stage::Proposed => "proposed: nothing of it has happened".to_owned(),
            Stage::Open => {
                format!("a group is open: {} done, {} held until its commit", done.len(), self.held_back())
            }
            Stage::Committing => format!("it is being carried out: {} of {all} steps stand", done.len()),
            Stage::Paused => format!("paused{why}: {} and what was done stays", self.failures()),
            Stage::Unwinding => format!("it is being taken back{why}: {}", self.failures()),
            Stage::Committed => {
                let back = self.ids(|step| step.state == StepState::Undone);
                match back.is_empty() {
                    true if all == 1 => "committed: its one step stands".to_owned(),
                    true => format!("committed: all {all} steps stand"),
                    false => format!("committed, and later taken back: {}", back.join(", ")),
                }
            }
            Stage::RolledBack => format!("rolled back{why}: {} and nothing of it stands", self.failures()),
            Stage::Quarantined if self.accepted => {
                format!("quarantined{why}, and accepted by a person: {}", self.left())
            }
            Stage::Quarantined => format!("quarantined{why}: {}", self.left()),
        };
        if !self.held.is_empty() {
            says.push_str(&format!("; a halt holds {}", self.held.join(", ")));
        }
        if !self.stuck.is_empty() {
            says.push_str(&format!("; nobody knows whether {} happened", self.stuck.join(", ")));
        }
        says
    }

    /// What an agent does next.
    pub fn next(&self) -> String {
        let people =
            format!("{} must look at it; say so to whoever you work for, and repair nothing", self.owner);
        match self.stage {
            Stage::Proposed => format!("carry it out: `remit.commit` with version {}", self.version),
            Stage::Open if !self.stuck.is_empty() => people,
            Stage::Open => {
                "call the tools that write, then `remit.commit`; `remit.abort` takes all of it back"
                    .to_owned()
            }
            Stage::Committing | Stage::Unwinding if !self.stuck.is_empty() => people,
            Stage::Committing | Stage::Unwinding if !self.held.is_empty() => {
                "it goes on by itself once the halt is lifted; `remit.abort` takes it back".to_owned()
            }
            Stage::Committing | Stage::Unwinding => "wait; it goes on by itself".to_owned(),
            Stage::Paused => "read anew, then propose a new version with `remit.plan`, or give it up with \
                `remit.abort`, which takes back what was done"
                .to_owned(),
            Stage::Committed => "nothing; it is done".to_owned(),
            Stage::RolledBack if self.grouped => {
                "read anew, and begin another group with `remit.begin`".to_owned()
            }
            Stage::RolledBack => {
                "read anew, say what you learned with `remit.replan`, then propose a plan with \
                `remit.plan`"
                    .to_owned()
            }
            Stage::Quarantined => people,
        }
    }

    fn ids(&self, is: impl Fn(&StepShown) -> bool) -> Vec<&str> {
        self.steps.iter().filter(|step| is(step)).map(|step| step.id.as_str()).collect()
    }

    /// How many wait for the commit.
    fn held_back(&self) -> usize {
        self.ids(|step| matches!(step.state, StepState::Outbox | StepState::Waiting)).len()
    }

    fn failures(&self) -> String {
        let failed = self.steps.iter().filter(|step| step.state == StepState::Failed);
        let failed: Vec<String> = failed
            .map(|step| match &step.trouble {
                Some(trouble) => format!("`{}` failed ({trouble})", step.id),
                None => format!("`{}` failed", step.id),
            })
            .collect();
        if failed.is_empty() { "no step failed,".to_owned() } else { format!("{},", failed.join(", ")) }
    }

    fn left(&self) -> String {
        if self.residue.is_empty() {
            return "nothing of it is left".to_owned();
        }
        let left = self.residue.iter().map(|left| {
            let why = left.why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
            match left.is {
                kernel::progress::Standing::Stands => format!("`{}` stands{why}", left.step),
                kernel::progress::Standing::Unknown => format!("`{}` may stand{why}", left.step),
            }
        });
        left.collect::<Vec<_>>().join(", ")
    }
}

/// What an agent does with the verdict on its plan.
pub fn next_of(verdict: &PlanVerdict) -> String {
    match verdict.ruling {
        Ruling::Allow => format!("carry it out: `remit.commit` with version {}", verdict.version),
        Ruling::Ask => format!(
            "people must say yes to it as a whole: commit version {} to ask them, and again for the outcome",
            verdict.version
        ),
        Ruling::Deny => {
            "nothing of it can be carried out: heed the reasons, and propose another plan".to_owned()
        }
    }
}
