//! Rules: the book, compiled. One immutable snapshot that a decision is taken by.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use policy::{AgentDecl, FreeRules, Problem, RuleSet, Severity, ToolDecl, World};
use stdx::digest::Digest;

use crate::account::Limits;
use crate::agent::{Manifest, Mode};
use crate::book::{Book, Origin};
use crate::contract::{Contract, Effect, Operation};
use crate::time::Time;
use crate::window::{AccountId, Owner, Window};

/// Longer words of a schema are cut: they may hold what somebody else wrote.
const MISFIT_CHARS_MAX: usize = 200;

#[derive(Debug)]
pub struct Rules {
    pub book: Book,
    pub digest: Digest,
    pub policy: RuleSet,
    tools: HashMap<String, Arc<ToolRules>>,
    /// By agent: whose accounts wider than a run its calls take from.
    owners: HashMap<String, Vec<Owner>>,
}

/// An account wider than a run, as it stands in the rules at some time.
#[derive(Debug)]
pub struct Wide<'a> {
    pub id: AccountId,
    /// When the next one begins.
    pub until: Time,
    pub limits: &'a Limits,
}

/// A contract, ready to be checked against.
#[derive(Debug)]
pub struct ToolRules {
    pub contract: Arc<Contract>,
    pub digest: Digest,
    pub input: jsonschema::Validator,
    /// What its server says that its results are, where that was accepted.
    pub output: Option<jsonschema::Validator>,
}

impl ToolRules {
    /// Where a structured result is not what its server said it would be, and how; the result itself is not told.
    pub fn misfit(&self, structured: &serde_json::Value) -> Option<String> {
        let output = self.output.as_ref().filter(|output| !output.is_valid(structured))?;
        let error = output.iter_errors(structured).next()?;
        let place = error.instance_path().as_str().to_owned();
        let words = error.masked_with("the value").to_string();
        Some(format!("at `{place}`: {words}").chars().take(MISFIT_CHARS_MAX).collect())
    }
}

impl Rules {
    /// Parses, type-checks and indexes; every problem at once.
    pub fn compile(book: Book) -> Result<Rules, Vec<Problem>> {
        let world = world(&book);
        let mays: Vec<policy::May> = book.agents.values().flat_map(mays).collect();
        let free: Vec<FreeRules> = book
            .rules
            .iter()
            .map(|rules| FreeRules { file: rules.file.clone(), text: rules.text.clone() })
            .collect();
        let options = policy::Options { allow_permits: book.house.allow_permits };
        let policy = policy::compile(&world, &mays, &free, &options)?;
        let mut tools = HashMap::new();
        for contract in book.tools.values() {
            let input = jsonschema::validator_for(&contract.input)
                .map_err(|error| vec![bad_schema(contract, &error)])?;
            let said = contract.definition.as_ref().and_then(|definition| definition.get("outputSchema"));
            let output = said.filter(|schema| schema.is_object()).map(jsonschema::validator_for).transpose();
            let output = output.map_err(|error| vec![bad_schema(contract, &error)])?;
            let (digest, contract) = (contract.digest(), Arc::new(contract.clone()));
            let rules = ToolRules { contract, digest, input, output };
            tools.insert(rules.contract.name.clone(), Arc::new(rules));
        }
        let digest = book.digest();
        let owners = book.agents.values().map(|manifest| (manifest.agent.clone(), owners(&book, manifest)));
        Ok(Rules { owners: owners.collect(), book, digest, policy, tools })
    }

    pub fn agent(&self, name: &str) -> Option<&Manifest> {
        self.book.agents.get(name)
    }

    pub fn tool(&self, name: &str) -> Option<&Arc<ToolRules>> {
        self.tools.get(name)
    }

    /// Whether what this agent asks of this tool is a write that it may only propose.
    pub fn proposes(&self, agent: &str, tool: &str) -> bool {
        let (Some(manifest), Some(known)) = (self.agent(agent), self.tool(tool)) else { return false };
        let effect = known.contract.effect;
        effect.writes() && manifest.mode_of(tool, effect) == Mode::Propose
    }

    /// What one run of this agent may spend: its manifest within the house's cap.
    pub fn run_limits(&self, agent: &Manifest) -> Limits {
        let house = &self.book.house;
        let (cap, tokens) = (house.calls_per_run_max, house.tokens_per_run_max);
        Limits {
            calls: Some(agent.per_run.calls.map_or(cap, |calls| calls.min(cap))),
            tokens: agent.per_run.tokens.into_iter().chain(tokens).min(),
            ..agent.per_run.clone()
        }
    }

    /// The accounts wider than a run that a call of this agent takes from.
    pub fn accounts(&self, agent: &str, now: Time) -> Vec<Wide<'_>> {
        let mut accounts = Vec::new();
        for owner in self.owners.get(agent).into_iter().flatten() {
            self.add_accounts(owner, now, &mut accounts);
        }
        accounts
    }

    /// The accounts that somebody has at this time.
    pub fn owner_accounts(&self, owner: &Owner, now: Time) -> Vec<Wide<'_>> {
        let mut accounts = Vec::new();
        self.add_accounts(owner, now, &mut accounts);
        accounts
    }

    fn add_accounts<'a>(&'a self, owner: &Owner, now: Time, accounts: &mut Vec<Wide<'a>>) {
        accounts.extend(self.windows(owner).into_iter().flatten().map(|(window, limits)| {
            let (from, until) = window.span(now, &self.book.house.calendar);
            Wide { id: AccountId { owner: owner.clone(), window: *window, from }, until, limits }
        }));
    }

    /// None: nothing limits it any more.
    pub fn account_limits(&self, account: &AccountId) -> Option<&Limits> {
        self.windows(&account.owner)?.get(&account.window)
    }

    fn windows(&self, owner: &Owner) -> Option<&BTreeMap<Window, Limits>> {
        match owner {
            Owner::Agent(name) => self.agent(name).map(|manifest| &manifest.windows),
            Owner::Tenant(name) => self.book.house.tenants.get(name.as_ref()),
        }
    }
}

fn owners(book: &Book, manifest: &Manifest) -> Vec<Owner> {
    let own = (!manifest.windows.is_empty()).then(|| Owner::Agent(manifest.agent.as_str().into()));
    let tenant = book.house.tenants.contains_key(&manifest.tenant);
    let tenant = tenant.then(|| Owner::Tenant(manifest.tenant.as_str().into()));
    own.into_iter().chain(tenant).collect()
}

fn world(book: &Book) -> World {
    let agents = book.agents.values().map(|manifest| AgentDecl {
        name: manifest.agent.clone(),
        tenant: manifest.tenant.clone(),
        groups: manifest.groups.clone(),
        env: manifest.env.clone(),
        crosses: manifest.crosses.clone(),
    });
    let tools = book.tools.values().map(|contract| ToolDecl {
        name: contract.name.clone(),
        server: contract.server.clone(),
        env: contract.env.clone(),
        effect: match contract.effect {
            Effect::Read => policy::Effect::Read,
            Effect::Reversible => policy::Effect::Reversible,
            Effect::Irreversible => policy::Effect::Irreversible,
        },
        operation: match contract.operation {
            Operation::Read => policy::Operation::Read,
            Operation::Write => policy::Operation::Write,
            Operation::Execute => policy::Operation::Execute,
            Operation::Delegate => policy::Operation::Delegate,
        },
        input: contract.input.clone(),
    });
    World { agents: agents.collect(), tools: tools.collect() }
}

fn mays(manifest: &Manifest) -> impl Iterator<Item = policy::May> {
    manifest.may.iter().map(|may| policy::May {
        agent: manifest.agent.clone(),
        id: may.id.clone(),
        tool: may.tool.clone(),
        when: may.when.clone(),
        when_origin: may.when_origin.as_ref().map(origin),
        to: may.to.clone(),
        ask: may.ask.clone(),
        origin: origin(&may.origin),
    })
}

fn origin(origin: &Origin) -> policy::Origin {
    policy::Origin { file: origin.file.clone(), line: origin.line, column: origin.column }
}

fn bad_schema(contract: &Contract, error: &impl std::fmt::Display) -> Problem {
    Problem {
        severity: Severity::Error,
        code: "bad_schema",
        file: format!("tools/{}.yaml", contract.server),
        line: 1,
        column: 1,
        length: 0,
        message: format!("a schema of `{}` is not a JSON Schema: {error}", contract.name),
        help: Some("write a JSON Schema 2020-12 object without remote references".to_owned()),
    }
}
