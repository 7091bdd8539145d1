//! `agents/*.yaml`: what an agent may do, in the words of the person who signs it.

use std::collections::BTreeMap;

use api::person;
use kernel::agent::{self, Manifest, May};
use kernel::contract::{Contract, Effect};
use schemars::JsonSchema;
use serde::Deserialize;
use stdx::nearest::nearest;

use super::Person;
use super::budget::{self, Action, Budget};
use super::commits::{BeforeEntry, OnFailure, OnHalt, commits};
use super::contract::Env;
use super::house::words;
use super::limits::Limits;
use super::yaml::{At, Later, Page};

const AGENT_NAME_LENGTH_MAX: usize = 128;

words! {
    Mode {
        /// Decide and record; hinder only what must always be hindered.
        Observe = "observe",
        /// Writes become proposals that a person answers.
        Propose = "propose",
        /// Decide, and hold the agent to it.
        Enforce = "enforce",
    }
    Role {
        /// May ask for decisions and carry calls out itself, and ask on behalf of other subjects.
        Executor = "executor",
    }
}

impl Mode {
    fn law(self) -> agent::Mode {
        match self {
            Mode::Observe => agent::Mode::Observe,
            Mode::Propose => agent::Mode::Propose,
            Mode::Enforce => agent::Mode::Enforce,
        }
    }
}

/// What a manifest may name.
pub(super) struct Known<'a> {
    pub(super) tools: &'a BTreeMap<String, Contract>,
    /// Whether `tools` holds all that was written; if not, a tool that is missing is no news.
    pub(super) all_read: bool,
    pub(super) people: &'a [Person],
    pub(super) tenant: &'a str,
}

/// `agents/*.yaml`: one agent, one file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AgentFile {
    /// Its name, for ever: letters, digits and `._@+=-`, at most 128.
    pub(super) agent: At<String>,
    /// The person who answers for it, and may always halt it.
    owner: At<String>,
    /// What it is for, in a few words.
    #[serde(default)]
    purpose: String,
    /// Whose it is; no agent reaches across tenants.
    #[schemars(extend("default" = "default"))]
    tenant: Option<String>,
    /// Groups that free rules can name.
    #[serde(default)]
    groups: Vec<String>,
    /// The environment it works in.
    #[schemars(extend("default" = "prod"))]
    env: Option<Env>,
    /// Other environments it may act in; crossing is denied otherwise.
    #[serde(default)]
    crosses: Vec<Env>,
    /// How its calls are treated; a line of `may` can say otherwise for itself.
    #[schemars(extend("default" = "enforce"))]
    mode: Option<At<Mode>>,
    /// How its calls are treated by what they do, in place of `mode`: `{ read: enforce, irreversible: propose }`.
    modes: Option<Modes>,
    /// `on`: it explores, proposes a plan of all that it means to write, and commits that, all or nothing. `off`: rules
    /// per call only.
    #[schemars(with = "Phases", extend("default" = "off"))]
    phases: Option<At<String>>,
    /// What it may be besides an agent.
    #[serde(default)]
    roles: Vec<Role>,
    /// What it may do; what no line allows is denied.
    #[serde(default)]
    may: Vec<At<MayEntry>>,
    /// When its runs must stop or slow down.
    limits: Option<Limits>,
    /// What it may spend.
    budget: Option<Budget>,
    /// What happens on the way to a limit, by how much of it is taken, in percent; in place of the house's `gates`.
    #[schemars(with = "Option<BTreeMap<String, Action>>")]
    gates: Option<BTreeMap<u64, At<Action>>>,
    /// Reads without which a write is refused.
    #[serde(default)]
    before: Vec<BeforeEntry>,
    /// What a step that fails leads to.
    #[schemars(extend("default" = "unwind"))]
    on_failure: Option<OnFailure>,
    /// What a halt leads to while a plan is being carried out.
    #[schemars(extend("default" = "hold"))]
    on_halt: Option<OnHalt>,
    #[serde(default)]
    #[schemars(skip)]
    delegate: Later,
}

/// What is left out is as `mode` says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct Modes {
    /// Calls that only read.
    read: Option<Mode>,
    /// Writes that can be undone.
    reversible: Option<Mode>,
    /// What cannot be undone.
    irreversible: Option<Mode>,
}

impl Modes {
    fn law(&self) -> BTreeMap<Effect, agent::Mode> {
        let rows = [
            (Effect::Read, self.read),
            (Effect::Reversible, self.reversible),
            (Effect::Irreversible, self.irreversible),
        ];
        rows.into_iter().filter_map(|(effect, mode)| Some((effect, mode?.law()))).collect()
    }

    fn proposes(&self) -> bool {
        [self.reversible, self.irreversible].contains(&Some(Mode::Propose))
    }
}

/// For the schema: editors read `on` as a word or as a truth, by their version of YAML.
#[derive(JsonSchema)]
#[schemars(inline, untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum Phases {
    Truth(bool),
    Word(OnOff),
}

words! {
    OnOff { On = "on", Off = "off" }
}

/// One line of a manifest.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct MayEntry {
    /// `server.tool`, or a pattern such as `crm.*`.
    tool: At<String>,
    /// A condition on the call, such as `args.amount_cents <= 5000`.
    when: Option<At<String>>,
    /// The destinations it may reach, as patterns, such as `*@customers.example`. Without it: any.
    to: Option<At<Vec<At<String>>>>,
    /// The group of people who must approve: the call waits for them.
    ask: Option<At<String>>,
    /// How much of it.
    limits: Option<MayLimits>,
    /// Arguments that are a currency of their own, by name, such as `refunded_cents: args.amount_cents`.
    #[serde(default)]
    count: BTreeMap<String, At<String>>,
    /// How calls under this line are treated, if not as the agent's `mode` says.
    mode: Option<At<Mode>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct MayLimits {
    /// Calls under this line that one run may make.
    per_run: Option<u64>,
    /// Calls under this line that all runs of the agent together may make in a minute.
    per_minute: Option<u64>,
    #[serde(default)]
    #[schemars(skip)]
    per_hour: Later,
    #[serde(default)]
    #[schemars(skip)]
    per_day: Later,
}

impl AgentFile {
    pub(super) fn manifest(&self, page: &mut Page<'_>, known: &Known<'_>) -> Manifest {
        page.not_built(&[(
            "delegate",
            &self.delegate,
            "give each agent a manifest of its own; take it away",
        )]);
        self.check_name(page);
        self.check_owner(page, known);
        check_modes(page, self, known);
        let mode = self.mode.as_ref().map(|mode| mode.value.law());
        let own = self.may.iter().flat_map(|entry| entry.value.count.keys());
        let counted = budget::counted(known.tools, known.all_read, own);
        let may =
            self.may.iter().enumerate().map(|(index, entry)| self.may(page, known, index, entry)).collect();
        Manifest {
            commits: commits(page, known, &self.before, self.on_failure, self.on_halt),
            agent: self.agent.value.clone(),
            owner: self.owner.value.clone(),
            purpose: self.purpose.clone(),
            tenant: self.tenant.clone().unwrap_or_else(|| known.tenant.to_owned()),
            groups: self.groups.clone(),
            env: self.env.unwrap_or(Env::Prod).name().to_owned(),
            crosses: self.crosses.iter().map(|env| env.name().to_owned()).collect(),
            mode: mode.unwrap_or_default(),
            modes: self.modes.as_ref().map(Modes::law).unwrap_or_default(),
            phases: phases(page, self.phases.as_ref()),
            executor: self.roles.contains(&Role::Executor),
            may,
            per_run: self.budget.as_ref().map(|budget| budget.per_run(page, &counted)).unwrap_or_default(),
            windows: self.budget.as_ref().map(|budget| budget.windows(page, &counted)).unwrap_or_default(),
            thresholds: self.gates.as_ref().map(|gates| budget::thresholds(page, gates)),
            limits: self.limits.as_ref().map(|limits| limits.law(page)).unwrap_or_default(),
            origin: page.origin(self.agent.place),
        }
    }

    fn may(&self, page: &mut Page<'_>, known: &Known<'_>, index: usize, at: &At<MayEntry>) -> May {
        let entry = &at.value;
        check_tool(page, known, &entry.tool);
        check_destinations(page, known, entry);
        if let Some(limits) = &entry.limits {
            let help =
                "limit the run with `per_run`, the minute with `per_minute`, or spend with `budget.per_day`";
            page.not_built(&[("per_hour", &limits.per_hour, help), ("per_day", &limits.per_day, help)]);
        }
        if let Some(ask) = &entry.ask {
            check_ask(page, known, ask);
        }
        May {
            id: format!("{}.may[{}]", self.agent.value, index + 1),
            tool: entry.tool.value.clone(),
            when: entry.when.as_ref().map(|when| when.value.clone()),
            when_origin: entry.when.as_ref().map(|when| page.origin(when.place)),
            to: entry.to.iter().flat_map(|to| &to.value).map(|to| to.value.clone()).collect(),
            ask: entry.ask.as_ref().map(|ask| ask.value.clone()),
            counts: budget::counts(page, &entry.count, None),
            calls_per_run_max: entry.limits.as_ref().and_then(|limits| limits.per_run),
            calls_per_minute_max: entry.limits.as_ref().and_then(|limits| limits.per_minute),
            mode: entry.mode.as_ref().map(|mode| mode.value.law()),
            origin: page.origin(at.place),
        }
    }

    fn check_name(&self, page: &mut Page<'_>) {
        let name = self.agent.value.as_str();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._@+=-".contains(&byte);
        if name.is_empty() || name.len() > AGENT_NAME_LENGTH_MAX || !name.bytes().all(plain) {
            page.error("agent-name", self.agent.place, format!("`{name}` cannot be the name of an agent"))
                .help(format!("letters, digits and `._@+=-`, at most {AGENT_NAME_LENGTH_MAX}"));
        }
    }

    fn check_owner(&self, page: &mut Page<'_>, known: &Known<'_>) {
        let owner = self.owner.value.as_str();
        let names = || known.people.iter().map(|person| person.name.as_str());
        if !known.people.is_empty() && !names().any(|name| name == owner) {
            let help = nearest(owner, names()).map_or_else(
                || "add them to `people` in remit.yaml, or name somebody who is there".to_owned(),
                |name| format!("did you mean `{name}`?"),
            );
            page.warning("owner", self.owner.place, format!("`{owner}` is not among `people`")).help(help);
        }
    }
}

/// Proposals wait for the owner, who must be somebody that can sign in.
fn check_modes(page: &mut Page<'_>, file: &AgentFile, known: &Known<'_>) {
    let lines = file.may.iter().filter_map(|line| line.value.mode.as_ref());
    let proposes = file.mode.iter().chain(lines).find(|mode| mode.value == Mode::Propose);
    let place = match proposes {
        Some(at) => at.place,
        None if file.modes.as_ref().is_some_and(Modes::proposes) => file.owner.place,
        None => return,
    };
    let owner = file.owner.value.as_str();
    if !known.people.iter().any(|person| person.name == owner) {
        let message = format!("nobody can answer its proposals: `{owner}` is not among `people`");
        page.warning("ask", place, message)
            .help("until then its writes are refused with `approval_unavailable`");
    }
}

fn phases(page: &mut Page<'_>, written: Option<&At<String>>) -> bool {
    let Some(at) = written else { return false };
    match at.value.as_str() {
        "off" | "false" => false,
        "on" | "true" => true,
        other => {
            page.error("value", at.place, format!("`{other}` is not accepted here")).help("`on` or `off`");
            false
        }
    }
}

pub(super) fn check_tool(page: &mut Page<'_>, known: &Known<'_>, tool: &At<String>) {
    let names = || known.tools.keys().map(String::as_str);
    if !known.all_read || names().any(|name| stdx::glob::matches(&tool.value, name)) {
        return;
    }
    let help = match nearest(&tool.value, names()).or_else(|| last_part(&tool.value, names())) {
        Some(name) => format!("did you mean `{name}`?"),
        None => "declare it in `tools/`: without a contract there is no such tool".to_owned(),
    };
    let message = match tool.value.contains('*') {
        true => format!("`{}` matches no tool", tool.value),
        false => format!("unknown tool `{}`", tool.value),
    };
    page.error("unknown-tool", tool.place, message).help(help);
}

/// A tool written without its server, or with a wrong one.
fn last_part<'a>(wrong: &str, mut names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = wrong.rsplit('.').next()?;
    names.find(|name| name.rsplit('.').next() == Some(wrong))
}

/// A destination is only known where the contract says which argument holds it.
fn check_destinations(page: &mut Page<'_>, known: &Known<'_>, entry: &MayEntry) {
    let Some(to) = &entry.to else { return };
    if to.value.is_empty() {
        page.error("destination", to.place, "`to` allows no destination at all")
            .help("list at least one pattern, or take the line away");
    }
    for pattern in &to.value {
        super::contract::check_pattern(page, &pattern.value, pattern.place);
    }
    if let Some(contract) =
        known.tools.get(&entry.tool.value).filter(|contract| contract.destinations.is_empty())
    {
        let message = format!("the contract of `{}` names no destination", contract.name);
        page.error("destination", to.place, message)
            .help("add `destinations` to the tool, so that Remit knows which argument to look at");
    }
}

fn check_ask(page: &mut Page<'_>, known: &Known<'_>, ask: &At<String>) {
    let role = person::Role::Approver(ask.value.clone());
    if !known.people.iter().any(|person| person.roles.contains(&role)) {
        let groups = known.people.iter().flat_map(|person| &person.roles);
        let groups = groups.filter_map(|role| match role {
            person::Role::Approver(group) => Some(group.as_str()),
            person::Role::Viewer | person::Role::Auditor | person::Role::Operator => None,
        });
        let help = nearest(&ask.value, groups).map_or_else(
            || format!("give somebody in `people` the role `{role}`"),
            |name| format!("did you mean `{name}`?"),
        );
        page.warning("ask", ask.place, format!("nobody can approve for `{}`", ask.value))
            .help(format!("{help}; until then these calls are refused with `approval_unavailable`"));
    }
}
