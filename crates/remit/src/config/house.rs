//! `remit.yaml`: what holds for the whole house, and the settings of this machine.

use std::collections::BTreeMap;
use std::path::PathBuf;

use api::person::Role;
use kernel::book::House;
use schemars::JsonSchema;
use serde::Deserialize;
use stdx::nearest::nearest;

use super::approvals::Approvals;
use super::budget::{self, Action, Tenant};
use super::calendar;
use super::callbacks::Callbacks;
use super::inbound::{self, Inbound};
use super::incidents::{self, Incidents};
use super::limits::Limits;
use super::listen::{self, Listen};
use super::notify::Notify;
use super::yaml::{At, Later, Page};
use super::{Person, Settings};

pub(super) const AGENTS: &str = "agents/*.yaml";
pub(super) const TOOLS: &str = "tools/*.yaml";
pub(super) const POLICIES: &str = "policies/*.cedar";
const DATA: &str = "./data";
pub(crate) const DISK_RESERVE_MB: u64 = 64;
/// How the ledger names whoever holds the operator's key.
const RESERVED_NAME: &str = "operator";
/// However high it is written: a decision looks at every run above its own.
const DEPTH_MAX: u64 = 16;
const RUN_TTL_MS_MAX: u64 = 30 * 86_400_000;

/// An enumeration of the words that are accepted for a key.
macro_rules! words {
    ($($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? })+) => {$(
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
        #[schemars(inline)]
        pub(in crate::config) enum $name { $($(#[$doc])* #[serde(rename = $word)] $variant),+ }
    )+};
}
pub(super) use words;

words! {
    PolicyMode { ZeroTrust = "zero_trust" }
    Evaluation { PerAction = "per_action" }
    Fallback { Deny = "deny" }
    ScopeInheritance { NarrowOnly = "narrow_only" }
    Storage { AppendOnly = "append_only" }
    SchemaVersion { One = "1.0" }
    EnforcementLevel { Prompt = "prompt" }
    CircuitBreaker { PauseAndNotify = "pause_and_notify" }
    Provider { Oidc = "oidc" }
    Registration { Dynamic = "dynamic" }
    Impersonation { Supported = "supported" }
    SharedKeys { Disabled = "disabled" }
}

/// `remit.yaml`. Every section may be left out; its defaults are safe. Paths start from the folder of this file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RemitFile {
    /// Where the manifests of agents are; `*` may stand in the last part of the path.
    #[schemars(extend("default" = AGENTS))]
    pub(super) agents: Option<At<String>>,
    /// How people are asked for a yes.
    pub(super) approvals: Option<Approvals>,
    /// What is recorded.
    audit: Option<Audit>,
    /// Where agents may have themselves told that what people were asked about has ended. Who is not listed polls.
    #[serde(default)]
    callbacks: Vec<Callbacks>,
    /// Days and months, as budgets count them.
    calendar: Option<Calendar>,
    /// How authority passes from agent to agent.
    delegation: Option<Delegation>,
    /// What happens on the way to a limit, by how much of it is taken, in percent.
    #[schemars(with = "Option<BTreeMap<String, Action>>")]
    gates: Option<BTreeMap<u64, At<Action>>>,
    /// `Host` names that both listeners accept besides their own address, `localhost` and loopback.
    #[serde(default)]
    hosts: Vec<At<String>>,
    /// Who people and agents are.
    identity: Option<Identity>,
    /// Systems of your own that tell Remit what a closed run came to in truth.
    #[serde(default)]
    inbound: Vec<Inbound>,
    /// Where people may send an incident: all that is known of a run. Read at start only.
    #[serde(default)]
    incidents: Vec<Incidents>,
    /// When runs must stop or slow down, for each agent whose manifest does not say otherwise.
    limits: Option<Limits>,
    /// Where Remit listens.
    listen: Option<Listen>,
    /// Whose systems are told of what happens.
    #[serde(default)]
    notify: Vec<Notify>,
    /// The people who may sign in, and what each may do.
    #[serde(default)]
    people: Vec<PersonEntry>,
    /// The free rules beside the manifests.
    pub(super) policies: Option<Policies>,
    /// How calls are decided.
    #[expect(
        dead_code,
        reason = "each key has one accepted value; that it was read is all there is to know"
    )]
    policy_engine: Option<PolicyEngine>,
    /// What one run may do.
    quotas: Option<Quotas>,
    /// How runs live.
    runs: Option<Runs>,
    /// Where the ledger is.
    store: Option<Store>,
    /// What the agents of a tenant may spend together, by its name.
    #[serde(default)]
    tenants: BTreeMap<String, Tenant>,
    /// Where the contracts of tool servers are; `*` may stand in the last part of the path.
    #[schemars(extend("default" = TOOLS))]
    pub(super) tools: Option<At<String>>,
    #[serde(default)]
    #[schemars(skip)]
    memory: Later,
    #[serde(default)]
    #[schemars(skip)]
    models: Later,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct PolicyEngine {
    /// Nothing is trusted for where it comes from.
    #[schemars(extend("default" = "zero_trust"))]
    #[expect(dead_code, reason = "one accepted value; that it was read is all there is to know")]
    mode: Option<PolicyMode>,
    /// Each call is decided by itself.
    #[schemars(extend("default" = "per_action"))]
    #[expect(dead_code, reason = "one accepted value; that it was read is all there is to know")]
    evaluation: Option<Evaluation>,
    /// What no rule allows is denied.
    #[schemars(extend("default" = "deny"))]
    #[expect(dead_code, reason = "one accepted value; that it was read is all there is to know")]
    fallback: Option<Fallback>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct Delegation {
    /// Accepted, not built yet: how long a delegated token is good for. Until then nothing can be delegated.
    token_ttl_seconds: Option<At<u64>>,
    /// How many runs may be opened under one another, below the first.
    #[schemars(extend("default" = House::default().depth_max))]
    max_depth: Option<At<u64>>,
    /// How many open runs one run may have under it.
    #[schemars(extend("default" = House::default().children_max))]
    max_children: Option<At<u64>>,
    /// Accepted, not built yet: a child's grant never holds more than its parent's.
    scope_inheritance: Option<At<ScopeInheritance>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct Audit {
    /// The ledger is only ever added to.
    #[schemars(extend("default" = "append_only"))]
    #[expect(dead_code, reason = "one accepted value; that it was read is all there is to know")]
    storage: Option<Storage>,
    /// The schema of recorded events.
    #[schemars(extend("default" = "1.0"))]
    #[expect(dead_code, reason = "one accepted value; that it was read is all there is to know")]
    schema_version: Option<SchemaVersion>,
    /// Whether the reason that an agent states is kept with its call.
    #[schemars(extend("default" = House::default().capture_reasoning))]
    capture_reasoning: Option<bool>,
    /// Accepted, not built yet: how long events are kept. Until then, for ever.
    retention_days: Option<At<u64>>,
    /// Accepted, not built yet: how long arguments, results and reasoning are kept. Until then, for ever.
    payload_days: Option<At<u64>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct Quotas {
    /// Limits hold per run: one prompt's worth of work and all that fans out of it.
    #[schemars(extend("default" = "prompt"))]
    #[expect(dead_code, reason = "one accepted value; that it was read is all there is to know")]
    enforcement_level: Option<EnforcementLevel>,
    /// Calls that one run may make, whoever makes them.
    #[schemars(extend("default" = House::default().calls_per_run_max))]
    max_actions_per_prompt: Option<At<u64>>,
    /// Tokens that one run may spend, where a contract says what a call takes of them.
    max_compute_tokens: Option<At<u64>>,
    /// `pause_and_notify`: a run that wants more than its budget waits for a person. Without it: it is refused, call
    /// by call.
    circuit_breaker: Option<At<CircuitBreaker>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct Identity {
    /// Accepted, not built yet: who proves who people are. Until then the people's listener stays on loopback.
    provider: Option<At<Provider>>,
    /// Accepted, not built yet: agents that register themselves. Until then each agent has a manifest.
    agent_registration: Option<At<Registration>>,
    /// Accepted, not built yet: agents that act for a person. Until then an agent acts for its owner.
    impersonation: Option<At<Impersonation>>,
    /// Each agent has a key of its own.
    #[schemars(extend("default" = "disabled"))]
    #[expect(dead_code, reason = "one accepted value; that it was read is all there is to know")]
    shared_keys: Option<SharedKeys>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct Store {
    /// The folder of the embedded store.
    #[schemars(extend("default" = DATA))]
    sqlite: Option<String>,
    /// Below this much free disk calls are refused, so that halts and settlements still fit.
    #[schemars(extend("default" = DISK_RESERVE_MB))]
    disk_reserve_mb: Option<At<u64>>,
    #[serde(default)]
    #[schemars(skip)]
    postgres: Later,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct PersonEntry {
    /// The name that signs: an e-mail address, as a rule.
    name: At<String>,
    /// `viewer` reads; `auditor` reads the ledger itself too; `operator` also halts, resumes, closes runs, mints and
    /// revokes keys and accepts tools; `approver:<group>` reads, and answers for the group.
    #[serde(default)]
    roles: Vec<At<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct Policies {
    /// Where the free Cedar rules are; `*` may stand in the last part of the path.
    #[schemars(extend("default" = POLICIES))]
    pub(super) files: Option<At<String>>,
    /// Whether a free rule may permit. Without it free rules only forbid, and manifests alone permit.
    #[schemars(extend("default" = House::default().allow_permits))]
    allow_permits: Option<bool>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct Runs {
    /// How long a run may stay open, such as `30m`; at most 30 days.
    #[schemars(extend("default" = stdx::duration::format_ms(House::default().run_ttl_ms)))]
    ttl: Option<At<String>>,
    /// How long the run of calls that name no run may go without one before it is closed; at most 30 days.
    #[schemars(extend("default" = stdx::duration::format_ms(House::default().implicit_idle_ms)))]
    implicit_idle: Option<At<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct Calendar {
    /// `utc`, a place whose clocks are followed, such as `Europe/Berlin`, or how far they are ahead, such as `+01:00`.
    #[schemars(extend("default" = "utc"))]
    zone: Option<At<String>>,
}

impl RemitFile {
    fn budgets(&self, page: &mut Page<'_>, house: &mut House) {
        if let Some(quotas) = &self.quotas {
            house.tokens_per_run_max = quotas.max_compute_tokens.as_ref().map(|at| at.value);
            house.pauses = quotas.circuit_breaker.is_some();
        }
        if let Some(delegation) = &self.delegation {
            let (depth, children) = (&delegation.max_depth, &delegation.max_children);
            house.depth_max = depth.as_ref().map_or(house.depth_max, |at| at.value.min(DEPTH_MAX));
            house.children_max = children.as_ref().map_or(house.children_max, |at| at.value);
        }
        if let Some(gates) = &self.gates {
            house.thresholds = budget::thresholds(page, gates);
        }
        if let Some(zone) = self.calendar.as_ref().and_then(|calendar| calendar.zone.as_ref()) {
            house.calendar = calendar::read(page, zone);
        }
    }

    pub(super) fn tenants(
        &self,
        page: &mut Page<'_>,
        tools: &BTreeMap<String, kernel::contract::Contract>,
        all_read: bool,
    ) -> BTreeMap<String, BTreeMap<kernel::window::Window, kernel::account::Limits>> {
        let counted = budget::counted(tools, all_read, std::iter::empty());
        let windows = |(name, tenant): (&String, &Tenant)| (name.clone(), tenant.windows(page, &counted));
        self.tenants.iter().map(windows).collect()
    }

    pub(super) fn house(&self, page: &mut Page<'_>) -> House {
        self.unbuilt(page);
        let mut house = House::default();
        if let Some(calls) = self.quotas.as_ref().and_then(|quotas| quotas.max_actions_per_prompt.as_ref()) {
            house.calls_per_run_max = page.at_least_one(calls);
        }
        self.budgets(page, &mut house);
        if let Some(limits) = &self.limits {
            house.limits = limits.law(page).or(&house.limits);
        }
        if let Some(ttl) = self.runs.as_ref().and_then(|runs| runs.ttl.as_ref()) {
            house.run_ttl_ms = page.duration_ms(ttl, 1_000, RUN_TTL_MS_MAX);
        }
        if let Some(idle) = self.runs.as_ref().and_then(|runs| runs.implicit_idle.as_ref()) {
            house.implicit_idle_ms = page.duration_ms(idle, 1_000, RUN_TTL_MS_MAX);
        }
        if let Some(capture) = self.audit.as_ref().and_then(|audit| audit.capture_reasoning) {
            house.capture_reasoning = capture;
        }
        if let Some(allow) = self.policies.as_ref().and_then(|policies| policies.allow_permits) {
            house.allow_permits = allow;
        }
        house.approvals.people = self.approvers();
        house
    }

    /// The people, and the groups that each answers for.
    fn approvers(&self) -> BTreeMap<String, std::collections::BTreeSet<String>> {
        let group = |at: &At<String>| match at.value.parse() {
            Ok(api::person::Role::Approver(group)) => Some(group),
            _ => None,
        };
        let groups = |entry: &PersonEntry| entry.roles.iter().filter_map(group).collect();
        self.people.iter().map(|entry| (entry.name.value.clone(), groups(entry))).collect()
    }

    pub(super) fn settings(&self, page: &mut Page<'_>) -> Settings {
        let listen = listen::read(page, self.listen.as_ref());
        let mut hosts: Vec<String> = self.hosts.iter().map(|at| host(page, at)).collect();
        hosts.extend(listen.console.as_ref().map(|(_, host)| host.clone()));
        let store = self.store.as_ref();
        let sqlite = store.and_then(|store| store.sqlite.as_deref()).unwrap_or(DATA);
        Settings {
            agents_listen: listen.agents,
            people_listen: listen.people,
            door_bytes_max: listen.message_bytes_max,
            data: PathBuf::from(sqlite),
            folder: PathBuf::from("."),
            texts: Vec::new(),
            file: None,
            disk_reserve_bytes: disk_reserve_bytes(
                page,
                store.and_then(|store| store.disk_reserve_mb.as_ref()),
            ),
            people: self.people(page),
            hosts,
            inbound: inbound::hooks(page, &self.inbound),
            callbacks: self.callbacks.iter().map(|one| one.place(page)).collect(),
            incidents: incidents::places(page, &self.incidents),
            console: listen.console.map(|(address, _)| address),
            traces: listen.traces,
            notify: self.notify.iter().filter_map(|notify| notify.hook(page)).collect(),
        }
    }

    fn people(&self, page: &mut Page<'_>) -> Vec<Person> {
        let mut people: Vec<Person> = Vec::new();
        for PersonEntry { name, roles } in &self.people {
            if people.iter().any(|known| known.name == name.value) {
                page.error("duplicate-person", name.place, format!("`{}` is listed twice", name.value))
                    .help("keep one entry and give it all the roles");
            }
            if name.value.is_empty() || name.value == RESERVED_NAME {
                page.error("person", name.place, format!("nobody can be called `{}`", name.value)).help(
                    "it is how the ledger names whoever holds the operator's key; use an e-mail address",
                );
            }
            roles.iter().for_each(|at| role(page, at));
            let roles = roles.iter().filter_map(|at| at.value.parse().ok()).collect();
            people.push(Person { name: name.value.clone(), roles });
        }
        people
    }

    fn unbuilt(&self, page: &mut Page<'_>) {
        page.not_built(&[
            ("memory", &self.memory, "take the section away; memory comes with a later version"),
            ("models", &self.models, "take the section away; the model gateway comes with a later version"),
        ]);
        if let Some(store) = &self.store {
            page.not_built(&[("postgres", &store.postgres, "use `store: { sqlite: ./data }`")]);
        }
        if let Some(it) = &self.delegation {
            let until = "until then nothing can be delegated";
            page.accepted("delegation.token_ttl_seconds", it.token_ttl_seconds.as_ref(), until);
            page.accepted("delegation.scope_inheritance", it.scope_inheritance.as_ref(), until);
        }
        if let Some(it) = &self.audit {
            let until = "until then everything is kept for ever";
            page.accepted("audit.retention_days", it.retention_days.as_ref(), until);
            page.accepted("audit.payload_days", it.payload_days.as_ref(), until);
        }
        if let Some(it) = &self.identity {
            let people = "until then people are whoever reaches the loopback listener";
            page.accepted("identity.provider", it.provider.as_ref(), people);
            let agents = "until then each agent needs a manifest and a key from `remit agent key`";
            page.accepted("identity.agent_registration", it.agent_registration.as_ref(), agents);
            let owner = "until then an agent acts for its owner only";
            page.accepted("identity.impersonation", it.impersonation.as_ref(), owner);
        }
    }
}

fn disk_reserve_bytes(page: &mut Page<'_>, written: Option<&At<u64>>) -> u64 {
    let mb = written.map_or(DISK_RESERVE_MB, |at| at.value);
    mb.checked_mul(1 << 20).unwrap_or_else(|| {
        let place = written.map(|at| at.place).unwrap_or_default();
        page.error("number", place, format!("`{mb}` MiB is more than any disk"))
            .help("64 is enough for most");
        0
    })
}

fn host(page: &mut Page<'_>, at: &At<String>) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_[]:".contains(&byte);
    if at.value.is_empty() || !at.value.bytes().all(plain) {
        page.error("host", at.place, format!("`{}` is not a host name", at.value)).help(
            "as it stands in the `Host` header: no scheme, no path, no `*`; such as `remit.example.com`",
        );
    }
    at.value.to_ascii_lowercase()
}

fn role(page: &mut Page<'_>, at: &At<String>) {
    if at.value.parse::<Role>().is_ok() {
        return;
    }
    let near = nearest(&at.value, Role::KNOWN);
    let help = near.map_or_else(String::new, |name| format!("did you mean `{name}`? "));
    let known = Role::KNOWN.map(|name| format!("`{name}`")).join(", ");
    page.error("role", at.place, format!("unknown role `{}`", at.value))
        .help(format!("{help}Known: {known}"));
}
