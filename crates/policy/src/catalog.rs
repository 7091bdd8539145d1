//! The world with numbers for names, and Cedar's ids and entities built once.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::{Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression as Expr};

use crate::problem::{Place, Problem};
use crate::shape::{self, Member, quoted};
use crate::{AgentDecl, ToolDecl, World};

/// The four operations and the effects that are groups of actions; no tool may take such a name.
const GROUPS: [&str; 6] = ["read", "write", "execute", "delegate", "reversible", "irreversible"];

#[derive(Debug)]
pub(crate) struct Catalog {
    pub(crate) agents: Vec<Agent>,
    pub(crate) tools: Vec<Tool>,
    pub(crate) agent_by_name: HashMap<String, usize>,
    pub(crate) tool_by_name: HashMap<String, usize>,
}

#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) decl: AgentDecl,
    pub(crate) uid: EntityUid,
    /// Itself and all that it is in.
    pub(crate) within: HashSet<EntityUid>,
}

#[derive(Debug)]
pub(crate) struct Tool {
    pub(crate) decl: ToolDecl,
    pub(crate) action: EntityUid,
    pub(crate) resource: EntityUid,
    pub(crate) action_within: HashSet<EntityUid>,
    pub(crate) resource_within: HashSet<EntityUid>,
    pub(crate) args: Arc<BTreeMap<String, Member>>,
}

/// Cedar's name for a thing of ours; `kind` is one of our own words, so it always parses.
pub(crate) fn uid(kind: &str, name: &str) -> Option<EntityUid> {
    let kind = EntityTypeName::from_str(&format!("Remit::{kind}")).ok()?;
    Some(EntityUid::from_type_name_and_id(kind, EntityId::new(name)))
}

impl Catalog {
    pub(crate) fn new(world: &World, problems: &mut Vec<Problem>) -> Self {
        let nowhere = Place::default();
        let mut catalog = Self {
            agents: Vec::with_capacity(world.agents.len()),
            tools: Vec::with_capacity(world.tools.len()),
            agent_by_name: HashMap::new(),
            tool_by_name: HashMap::new(),
        };
        for decl in &world.agents {
            if catalog.agent_by_name.contains_key(&decl.name) {
                let message = format!("agent `{}` is declared twice", decl.name);
                problems.push(Problem::error("duplicate-agent", &nowhere, message));
            } else if let Some(agent) = agent(decl) {
                catalog.agent_by_name.insert(decl.name.clone(), catalog.agents.len());
                catalog.agents.push(agent);
            }
        }
        for decl in &world.tools {
            if catalog.tool_by_name.contains_key(&decl.name) {
                let message = format!("tool `{}` is declared twice", decl.name);
                problems.push(Problem::error("duplicate-tool", &nowhere, message));
            } else if decl.name.contains('*') || GROUPS.contains(&decl.name.as_str()) {
                let message =
                    format!("`{}` cannot name a tool: rules use it for a group of tools", decl.name);
                problems.push(Problem::error("tool-name", &nowhere, message));
            } else if let Some(tool) = tool(decl, problems) {
                catalog.tool_by_name.insert(decl.name.clone(), catalog.tools.len());
                catalog.tools.push(tool);
            }
        }
        catalog
    }

    /// What the validator checks rules against.
    pub(crate) fn schema(&self) -> String {
        schema(&self.tools.iter().collect::<Vec<_>>())
    }

    /// The entities that a decision about this agent and tool can look at.
    pub(crate) fn entities(&self, agent: &Agent, tool: &Tool) -> Option<cedar_policy::Entities> {
        let parents = |all: &HashSet<EntityUid>, own: &EntityUid| -> HashSet<EntityUid> {
            all.iter().filter(|uid| *uid != own).cloned().collect()
        };
        let text = |text: &str| Expr::new_string(text.to_owned());
        let crosses = Expr::new_set(agent.decl.crosses.iter().map(|env| text(env)));
        let attrs = HashMap::from([("env".into(), text(&agent.decl.env)), ("crosses".into(), crosses)]);
        let mut entities =
            vec![Entity::new(agent.uid.clone(), attrs, parents(&agent.within, &agent.uid)).ok()?];
        let attrs = HashMap::from([("env".into(), text(&tool.decl.env))]);
        let resource = tool.resource.clone();
        entities.push(Entity::new(resource, attrs, parents(&tool.resource_within, &tool.resource)).ok()?);
        let groups = parents(&tool.action_within, &tool.action);
        entities.push(Entity::new_no_attrs(tool.action.clone(), groups));
        cedar_policy::Entities::from_entities(entities, None).ok()
    }
}

/// The schema of a world with only these tools.
pub(crate) fn schema(tools: &[&Tool]) -> String {
    let mut text = String::from(HEAD);
    let servers: BTreeSet<String> = tools.iter().map(|tool| format!("{}.*", tool.decl.server)).collect();
    for server in servers {
        text.push_str(&format!("  action {};\n", quoted(&server)));
    }
    for tool in tools {
        let groups: Vec<String> = groups_of(&tool.decl).iter().map(|group| quoted(group)).collect();
        text.push_str(&format!(
            "  action {} in [{}] \
                 appliesTo {{ principal: [Agent], resource: [Tool], context: {{ args: {}, {FACTS} }} }};\n",
            quoted(&tool.decl.name),
            groups.join(", "),
            shape::record_text(&tool.args),
        ));
    }
    text.push_str("}\n");
    text
}

fn agent(decl: &AgentDecl) -> Option<Agent> {
    let uid = self::uid("Agent", &decl.name)?;
    let mut within = HashSet::from([uid.clone(), self::uid("Tenant", &decl.tenant)?]);
    for group in &decl.groups {
        within.insert(self::uid("Group", group)?);
    }
    Some(Agent { decl: decl.clone(), uid, within })
}

fn tool(decl: &ToolDecl, problems: &mut Vec<Problem>) -> Option<Tool> {
    let mut untyped = Vec::new();
    let args = Arc::new(shape::arguments(&decl.input, &mut untyped));
    for (pointer, why) in untyped {
        let what = if pointer.is_empty() { "the input".into() } else { format!("`{pointer}`") };
        let message = format!("rules cannot read {what} of tool `{}`: {why}", decl.name);
        problems.push(
            Problem::warning("untyped-argument", &Place::default(), message)
                .help("give it one plain type, or extract what matters in the tool's contract"),
        );
    }
    let (action, resource) = (uid("Action", &decl.name)?, uid("Tool", &decl.name)?);
    let mut action_within = HashSet::from([action.clone()]);
    for group in groups_of(decl) {
        action_within.insert(uid("Action", &group)?);
    }
    // A group's own group: every reversible or irreversible deed is a write.
    if decl.effect != crate::Effect::Read {
        action_within.insert(uid("Action", "write")?);
    }
    let resource_within = HashSet::from([resource.clone(), uid("Server", &decl.server)?]);
    Some(Tool { decl: decl.clone(), action, resource, action_within, resource_within, args })
}

/// The groups of actions that the schema puts a tool in.
fn groups_of(decl: &ToolDecl) -> BTreeSet<String> {
    BTreeSet::from([
        format!("{}.*", decl.server),
        decl.operation.word().to_owned(),
        decl.effect.word().to_owned(),
    ])
}

const HEAD: &str = r#"namespace Remit {
  entity Group;
  entity Tenant;
  entity Server;
  entity Agent in [Group, Tenant] { env: __cedar::String, crosses: Set<__cedar::String> };
  entity Tool in [Server] { env: __cedar::String };
  action "read";
  action "write";
  action "execute";
  action "delegate";
  action "reversible" in ["write"];
  action "irreversible" in ["write"];
"#;

const FACTS: &str = "run: { phase: __cedar::String, age_seconds: __cedar::Long, calls: __cedar::Long, \
    spent_percent: __cedar::Long, labels: Set<__cedar::String> }, \
    grant: { subject: __cedar::String, depth: __cedar::Long }, \
    approvals: Set<__cedar::String>, destinations: Set<__cedar::String>, \
    destinations_within: Set<__cedar::String>, env: __cedar::String, hour: __cedar::Long, \
    weekday: __cedar::Long, tenant: __cedar::String";
