//! What a halt holds: which calls its scope covers, and which of them are under way.

use stdx::nearest::nearest;

use crate::approval::Pending;
use crate::call::Part;
use crate::contract::Effect;
use crate::halt::{Halt, Scope};
use crate::id::{CallId, RunId};
use crate::reason::{Code, Reason};
use crate::rules::Rules;
use crate::run::OpenCall;
use crate::state::{Control, State};
use crate::time::Time;

/// What a halt may hold of a call.
#[derive(Clone, Debug)]
pub struct Target<'a> {
    pub agent: &'a str,
    pub tenant: &'a str,
    pub tool: &'a str,
    /// The call's run and those it descends from.
    pub runs: Vec<RunId>,
    /// Unknown where there is no contract: then every halt of effects or of an environment holds it.
    pub effect: Option<Effect>,
    pub env: Option<&'a str>,
}

impl<'a> Target<'a> {
    pub fn new(rules: &'a Rules, agent: &'a str, tool: &'a str, runs: Vec<RunId>) -> Target<'a> {
        let contract = rules.tool(tool).map(|known| &known.contract);
        Target {
            agent,
            tenant: rules.agent(agent).map_or(&rules.book.house.tenant, |manifest| &manifest.tenant),
            tool,
            runs,
            effect: contract.map(|contract| contract.effect),
            env: contract.map(|contract| contract.env.as_str()),
        }
    }

    fn reads(&self) -> bool {
        self.effect == Some(Effect::Read)
    }
}

impl Halt {
    /// Whether it holds a call that its scope covers.
    pub fn holds(&self, target: &Target<'_>) -> bool {
        !(self.reads_allowed && target.reads())
    }
}

impl Scope {
    pub fn covers(&self, target: &Target<'_>) -> bool {
        match self {
            Scope::All => true,
            Scope::Writes => target.effect.is_none_or(Effect::writes),
            Scope::Irreversible => target.effect.is_none_or(|effect| effect == Effect::Irreversible),
            Scope::Tenant(name) => target.tenant == name,
            Scope::Agent(name) => target.agent == name,
            Scope::Server(name) => target.tool.split_once('.').is_some_and(|(server, _)| server == name),
            Scope::Tool(name) => target.tool == name,
            Scope::Run(id) => target.runs.iter().any(|run| run.to_string() == *id),
            Scope::In(scope, env) => target.env.is_none_or(|known| known == env) && scope.covers(target),
        }
    }

    /// Refuses a name in it that the rules do not hold, and says which is nearest. Of runs the rules know nothing.
    pub fn unknown(&self, rules: &Rules) -> Option<Reason> {
        let (agents, tools) = (&rules.book.agents, &rules.book.tools);
        match self {
            Scope::All | Scope::Writes | Scope::Irreversible | Scope::Run(_) => None,
            Scope::Tenant(name) => {
                let tenants = agents.values().map(|manifest| manifest.tenant.as_str());
                among("tenant", name, tenants.chain([rules.book.house.tenant.as_str()]))
            }
            Scope::Agent(name) => among("agent", name, agents.keys().map(String::as_str)),
            Scope::Server(name) => among("server", name, tools.values().map(|tool| tool.server.as_str())),
            Scope::Tool(name) => among("tool", name, tools.keys().map(String::as_str)),
            Scope::In(scope, env) => {
                let envs = tools.values().map(|tool| tool.env.as_str());
                scope.unknown(rules).or_else(|| among("environment", env, envs))
            }
        }
    }
}

fn among<'a>(kind: &str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Option<Reason> {
    if known.clone().any(|it| it == name) {
        return None;
    }
    let detail = meant(&format!("{kind} `{name}`"), nearest(name, known));
    Some(Reason::new(Code::ScopeUnknown).detail(detail))
}

fn meant(what: &str, near: Option<&str>) -> String {
    near.map_or_else(|| what.to_owned(), |near| format!("{what}; did you mean `{near}`?"))
}

impl Scope {
    /// A halt of a run, an agent or a tenant does not hinder that what they did is taken back.
    fn binds_undo(&self) -> bool {
        match self {
            Scope::Run(_) | Scope::Agent(_) | Scope::Tenant(_) => false,
            Scope::In(scope, _) => scope.binds_undo(),
            _ => true,
        }
    }

    /// It is of one tool, or of one server's tools: whoever halts that means what is taken back with it too.
    pub(crate) fn is_of_tools(&self) -> bool {
        match self {
            Scope::Tool(_) | Scope::Server(_) => true,
            Scope::In(scope, _) => scope.is_of_tools(),
            _ => false,
        }
    }
}

impl State {
    /// How many calls wait for people that this halt holds.
    pub fn asks_held(&self, rules: &Rules, scope: &Scope, halt: &Halt) -> usize {
        let holds = |pending: &&Pending| {
            let runs = std::iter::once(pending.run).chain(pending.above.iter().copied()).collect();
            let target = Target::new(rules, &pending.agent, &pending.tool, runs);
            scope.covers(&target) && halt.holds(&target)
        };
        self.pending.values().filter(holds).count()
    }
}

impl Control {
    /// The halt that a call meets which takes something back.
    pub fn halted_undo(&self, target: &Target<'_>, now: Time) -> Option<(&Scope, &Halt)> {
        self.halts.iter().find(|(scope, halt)| {
            scope.binds_undo() && halt.is_due(now) && scope.covers(target) && halt.holds(target)
        })
    }

    /// The halt that a call meets, if there is one.
    pub fn halted(&self, target: &Target<'_>, now: Time) -> Option<(&Scope, &Halt)> {
        self.halts.iter().find(|(scope, halt)| halt.is_due(now) && scope.covers(target) && halt.holds(target))
    }

    /// The halt under which no run of this agent may be opened.
    pub fn closed_to(
        &self,
        agent: &str,
        tenant: &str,
        above: &[RunId],
        now: Time,
    ) -> Option<(&Scope, &Halt)> {
        self.halts.iter().find(|(scope, halt)| {
            let named = match scope {
                Scope::All => true,
                Scope::Agent(name) => name == agent,
                Scope::Tenant(name) => name == tenant,
                Scope::Run(id) => above.iter().any(|run| run.to_string() == *id),
                _ => false,
            };
            named && !halt.reads_allowed && halt.is_due(now)
        })
    }

    pub(crate) fn not_halted(&self, scope: &Scope) -> Reason {
        let halted: Vec<String> = self.halts.keys().map(ToString::to_string).collect();
        let typed = scope.to_string();
        let near = nearest(&typed, halted.iter().map(String::as_str));
        Reason::new(Code::HaltUnknown).detail(meant(&format!("`{typed}`"), near))
    }

    /// Scopes whose time is over.
    pub fn overdue(&self, now: Time) -> impl Iterator<Item = &Scope> {
        self.halts.iter().filter(move |(_, halt)| !halt.is_due(now)).map(|(scope, _)| scope)
    }
}

impl Control {
    /// Whether a halt holds this tool for an agent's run and those above it.
    pub fn holds_tool(&self, rules: &Rules, agent: &str, tool: &str, runs: Vec<RunId>, now: Time) -> bool {
        !self.halts.is_empty() && self.halted(&Target::new(rules, agent, tool, runs), now).is_some()
    }
}

impl Control {
    /// The same of any call: what takes back is held by fewer halts.
    pub fn holds_call(
        &self,
        rules: &Rules,
        agent: &str,
        tool: &str,
        runs: Vec<RunId>,
        part: Option<&Part>,
        now: Time,
    ) -> bool {
        match part {
            Some(Part::Undo { .. }) => {
                self.halted_undo(&Target::new(rules, agent, tool, runs), now).is_some()
            }
            _ => self.holds_tool(rules, agent, tool, runs, now),
        }
    }
}

impl State {
    /// The permitted calls without a known end that a halt holds, oldest first.
    pub fn held(&self, rules: &Rules, scope: &Scope, halt: &Halt) -> Vec<(CallId, OpenCall)> {
        let is_held = |open: &OpenCall| {
            // Its run may be closed already, so the call itself knows what is above.
            let runs = std::iter::once(open.run).chain(open.above.iter().copied()).collect();
            let target = Target::new(rules, &open.agent, &open.tool, runs);
            let takes_back = matches!(open.part, Some(Part::Undo { .. }));
            if takes_back && !scope.binds_undo() {
                return false;
            }
            scope.covers(&target) && halt.holds(&target)
        };
        let mut held: Vec<(CallId, OpenCall)> = self
            .calls
            .iter()
            .filter(|(_, open)| is_held(open))
            .map(|(id, open)| (*id, open.clone()))
            .collect();
        held.sort_by_key(|(id, _)| *id);
        held
    }
}
