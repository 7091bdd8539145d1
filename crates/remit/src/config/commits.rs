//! What a manifest says of plans: reads that come before a write, and what a failure or a halt leads to.

use std::collections::BTreeMap;

use kernel::agent::CommitRules;
use kernel::before::Before;
use kernel::progress;
use schemars::JsonSchema;
use serde::Deserialize;
use stdx::nearest::nearest;

use super::contract::missing_value;
use super::house::words;
use super::manifest::{Known, check_tool};
use super::yaml::{At, Page, Place};

const WITHIN_MS_MAX: u64 = 86_400_000;

words! {
    OnFailure {
        /// All that was done is taken back.
        Unwind = "unwind",
        /// What was done stays, until the agent mends its plan or aborts it.
        PauseForReplan = "pause_for_replan",
    }
    OnHalt {
        /// What was done stays, until the halt is lifted.
        Hold = "hold",
        /// All that was done is taken back.
        Unwind = "unwind",
    }
}

/// A read without which a write is refused.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct BeforeEntry {
    /// The write: `server.tool`, or a pattern such as `mail.*`.
    tool: At<String>,
    /// The full name of the tool that must have been read, with success, in the same run.
    read: At<String>,
    /// Values that must be equal: from the write's `args.NAME` to the read's `result.NAME`, or to what it was asked,
    /// `args.NAME`.
    #[serde(default)]
    same: BTreeMap<String, At<String>>,
    /// How long ago it may be, such as `10m`. Without it: as long as the run is open.
    within: Option<At<String>>,
}

pub(super) fn commits(
    page: &mut Page<'_>,
    known: &Known<'_>,
    before: &[BeforeEntry],
    on_failure: Option<OnFailure>,
    on_halt: Option<OnHalt>,
) -> CommitRules {
    CommitRules {
        before: before.iter().map(|entry| entry.law(page, known)).collect(),
        on_failure: match on_failure {
            Some(OnFailure::PauseForReplan) => progress::OnFailure::PauseForReplan,
            Some(OnFailure::Unwind) | None => progress::OnFailure::Unwind,
        },
        on_halt: match on_halt {
            Some(OnHalt::Unwind) => progress::OnHalt::Unwind,
            Some(OnHalt::Hold) | None => progress::OnHalt::Hold,
        },
    }
}

impl BeforeEntry {
    fn law(&self, page: &mut Page<'_>, known: &Known<'_>) -> Before {
        check_tool(page, known, &self.tool);
        self.check_read(page, known);
        for (from, to) in &self.same {
            self.check_same(page, known, from, to);
        }
        Before {
            read: self.read.value.clone(),
            same: self.same.iter().map(|(from, to)| (from.clone(), to.value.clone())).collect(),
            tool: self.tool.value.clone(),
            within_ms: self.within.as_ref().map(|at| page.duration_ms(at, 1_000, WITHIN_MS_MAX)),
        }
    }

    /// It is one tool, and it reads: what a pattern of reads tells is never the same value.
    fn check_read(&self, page: &mut Page<'_>, known: &Known<'_>) {
        let name = &self.read.value;
        match known.tools.get(name) {
            Some(tool) if tool.effect.writes() => {
                page.error("before", self.read.place, format!("`{name}` writes, and `read` only looks"))
                    .help("name a tool whose effect is `read`");
            }
            None if known.all_read => {
                let help = nearest(name, known.tools.keys().map(String::as_str)).map_or_else(
                    || "the full name of one tool that has a contract, such as `crm.lookup`".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
                page.error("unknown-tool", self.read.place, format!("unknown tool `{name}`")).help(help);
            }
            _ => {}
        }
    }

    fn check_same(&self, page: &mut Page<'_>, known: &Known<'_>, from: &str, to: &At<String>) {
        let key = page.key(from, to.place);
        let write = known.tools.get(&self.tool.value).map(|tool| &tool.input);
        match path(from, &["args"]) {
            Some((_, path)) => check_argument(page, key, &path, write),
            None => {
                page.error("before", key, format!("`{from}` names no argument of the write"))
                    .help("`args.` and the name of an argument, such as `args.charge_id`");
            }
        }
        match path(&to.value, &["result", "args"]) {
            Some(("args", path)) => {
                let read = known.tools.get(&self.read.value).map(|tool| &tool.input);
                check_argument(page, to.place, &path, read);
            }
            Some(_) => {}
            None => {
                page.error("before", to.place, format!("`{}` names nothing of the read", to.value))
                    .help("`result.` or `args.` and a name, such as `result.charge_id`");
            }
        }
    }
}

fn check_argument(page: &mut Page<'_>, place: Place, path: &[String], input: Option<&serde_json::Value>) {
    if let Some((name, help)) = input.and_then(|input| missing_value(path, input)) {
        page.error("before", place, format!("`input` has no property `{name}`")).help(help);
    }
}

/// The root of a path, if it is one of these, and the names after it.
fn path<'t>(text: &'t str, roots: &[&str]) -> Option<(&'t str, Vec<String>)> {
    let (root, rest) = text.split_once('.')?;
    let names: Vec<String> = rest.split('.').map(str::to_owned).collect();
    (roots.contains(&root) && !names.iter().any(String::is_empty)).then_some((root, names))
}
