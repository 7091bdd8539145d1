//! `tools/*.yaml`: what Remit knows of each tool of a server. No contract, no such tool.

mod care;
mod deed;
mod destination;
mod mcp;
mod meter;
mod shape;
mod undo;

use std::collections::BTreeMap;

use kernel::contract::Contract;
use serde_json::{Map, Value, json};
use stdx::digest::Digest;
use tools::mcp::definition_digest;

pub(super) use self::deed::Partner;
pub(super) use self::destination::{check_path, check_pattern, missing_value};
pub(crate) use self::mcp::Pins;
use self::shape::{Credential, Effect, Operation, ToolEntry};
pub(super) use self::shape::{Env, ToolFile};
use super::budget::counts;
use super::yaml::{At, Page, Place};

const TIMEOUT_MS: u64 = 10_000;
const TIMEOUT_MS_MAX: u64 = 600_000;
const RESULT_BYTES_MAX: u64 = 1 << 20;
const NAME_LENGTH_MAX: usize = 128;

impl Env {
    pub(super) fn name(self) -> &'static str {
        match self {
            Env::Dev => "dev",
            Env::Staging => "staging",
            Env::Prod => "prod",
        }
    }
}

impl Effect {
    fn law(self) -> kernel::contract::Effect {
        match self {
            Effect::Read => kernel::contract::Effect::Read,
            Effect::Reversible => kernel::contract::Effect::Reversible,
            Effect::Irreversible => kernel::contract::Effect::Irreversible,
        }
    }
}

impl Operation {
    fn law(self) -> kernel::contract::Operation {
        match self {
            Operation::Read => kernel::contract::Operation::Read,
            Operation::Write => kernel::contract::Operation::Write,
            Operation::Execute => kernel::contract::Operation::Execute,
            Operation::Delegate => kernel::contract::Operation::Delegate,
        }
    }
}

/// A tool that another stands in for, and where that is written.
pub(super) struct StandIn {
    pub(super) place: Place,
    pub(super) of: String,
    pub(super) tool: String,
    /// While there is less to spend, and not while it cannot be reached.
    degrades: bool,
}

impl StandIn {
    /// It is another tool, and does no more to the world than the one that it stands in for.
    pub(super) fn check(&self, page: &mut Page<'_>, tools: &BTreeMap<String, Contract>, all_read: bool) {
        let Some(of) = tools.get(&self.of) else { return };
        let chained =
            tools.get(&self.tool).filter(|_| self.degrades).is_some_and(|tool| tool.degrade.tool.is_some());
        let mut wrong = |words: String, help: &str| {
            page.error("fallback", self.place, words).help(help);
        };
        match tools.get(&self.tool) {
            None if all_read => wrong(
                format!("there is no tool `{}` to stand in for `{}`", self.tool, self.of),
                "the full name of a tool that has a contract, such as `crm.search`",
            ),
            Some(_) if chained => wrong(
                format!("`{}` stands in for `{}`, and something stands in for it", self.tool, self.of),
                "one step down is enough: name the cheapest tool in both",
            ),
            Some(tool) if tool.name == of.name => wrong(
                format!("`{}` cannot stand in for itself", self.of),
                "name another tool, or give a fixed `answer`",
            ),
            Some(tool) if tool.effect > of.effect => wrong(
                format!("`{}` does more to the world than `{}`", self.tool, self.of),
                "what stands in for a read reads, and what stands in for a write can be taken back as well as that",
            ),
            _ => {}
        }
    }
}

impl ToolFile {
    pub(super) fn stand_ins(&self) -> Vec<StandIn> {
        let of = |(name, entry): (&String, &super::yaml::At<ToolEntry>)| {
            let of = format!("{}.{name}", self.server.value);
            let down = entry.value.fallback.as_ref().and_then(|at| {
                let tool = at.value.tool.clone().filter(|_| at.value.answer.is_none())?;
                Some(StandIn { place: at.place, of: of.clone(), tool, degrades: false })
            });
            let less = entry.value.degrade.as_ref().and_then(|at| {
                let tool = at.value.tool.as_ref()?;
                Some(StandIn { place: tool.place, of, tool: tool.value.clone(), degrades: true })
            });
            down.into_iter().chain(less)
        };
        self.tools.iter().flat_map(of).collect()
    }

    /// The tools that its contracts name beside their own.
    pub(super) fn partners(&self) -> Vec<Partner> {
        let server = &self.server.value;
        let of = |(name, at): (&String, &At<ToolEntry>)| at.value.partners(&format!("{server}.{name}"));
        self.tools.iter().flat_map(of).collect()
    }

    /// `pins` holds what was accepted of this server's own definitions.
    pub(super) fn contracts(&self, page: &mut Page<'_>, pins: &Pins) -> Vec<Contract> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        check_name(page, &self.server.value, self.server.place, plain, "letters, digits, `_` and `-`");
        let reached = self.reached(page);
        let base = match &reached {
            Reached::Http(base) => base.as_str(),
            Reached::Mcp(_) => self.via.value.mcp.as_ref().map_or("", |mcp| mcp.url.value.as_str()),
        };
        let credential = self.credential.as_ref().map(|credential| credential.reference(page, base));
        let mut contracts = self.offered(page, &reached, credential.as_deref());
        for (tool, at) in &self.tools {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            let place = page.key(tool, at.place);
            check_name(page, tool, place, plain, "letters, digits, `.`, `_` and `-`");
            let (definition, input) = at.value.input(page, self, tool, place, &reached, pins);
            let draft =
                Draft { tool, definition, input: &input, reached: &reached, credential: credential.clone() };
            at.value.check_way_back(page, tool, place);
            contracts.push(at.value.contract(page, self, draft));
        }
        contracts
    }

    fn reached(&self, page: &mut Page<'_>) -> Reached {
        let via = &self.via.value;
        page.not_built(&[("openapi", &via.openapi, "use `http: { url }` and declare each tool's `input`")]);
        match (&via.http, &via.mcp, &via.stdio) {
            (Some(http), None, None) => Reached::Http(base(page, http)),
            (None, Some(mcp), None) => self.mcp(page, json!({ "url": mcp.url.value }), mcp.url.place),
            (None, None, Some(stdio)) => self.mcp(page, stdio.place(), stdio.command.place),
            _ => {
                if !page.problems.iter().any(|problem| problem.code == "not-built") {
                    page.error(
                        "missing-key",
                        self.via.place,
                        "`via` names not exactly one way to reach the server",
                    )
                    .help("`http: { url }`, `mcp: { url }` or `stdio: { command }`");
                }
                Reached::Http(String::new())
            }
        }
    }
}

/// The base URL, without a slash at its end.
fn base(page: &mut Page<'_>, http: &shape::Http) -> String {
    page.not_built(&[("headers", &http.headers, "use `credential: { bearer: \"env:NAME\" }` for a token")]);
    let url = http.url.value.as_str();
    if !is_base_url(url) {
        page.error("url", http.url.place, "this is not the address of a tool server")
            .help("`http://` or `https://`, a host and perhaps a path; no user, query, fragment or space");
    }
    url.trim_end_matches('/').to_owned()
}

/// How the tools of one server are reached.
enum Reached {
    /// JSON over HTTP, below this address.
    Http(String),
    /// MCP: what every contract's `via.mcp` holds.
    Mcp(Map<String, Value>),
}

/// What of a contract does not stand in its own entry.
struct Draft<'a> {
    tool: &'a str,
    definition: Option<Value>,
    input: &'a Value,
    reached: &'a Reached,
    credential: Option<String>,
}

impl Credential {
    fn reference(&self, page: &mut Page<'_>, base: &str) -> String {
        let reference = self.bearer.value.as_str();
        let name = reference.strip_prefix("env:").or_else(|| reference.strip_prefix("file:"));
        if name.is_none_or(str::is_empty) {
            // The value is never repeated: it may be a secret.
            page.error("literal-secret", self.bearer.place, "a secret may not stand in the configuration")
                .help("put it elsewhere and refer to it: `env:NAME` or `file:PATH`; then replace the secret itself");
            return String::new();
        }
        let local =
            ["http://127.", "http://localhost", "http://[::1]"].iter().any(|start| base.starts_with(start));
        if base.starts_with("http://") && !local {
            page.warning("url", self.bearer.place, "this credential would cross the network in clear text")
                .help("use `https://` for a server on another machine");
        }
        reference.to_owned()
    }
}

impl ToolEntry {
    fn contract(&self, page: &mut Page<'_>, file: &ToolFile, draft: Draft<'_>) -> Contract {
        let Draft { tool, definition, input, reached, credential } = draft;
        self.unbuilt(page);
        let effect = self.effect.law();
        let written = if effect.writes() { Operation::Write } else { Operation::Read };
        let timeout = self.limits.as_ref().and_then(|limits| limits.timeout.as_ref());
        let mut contract = Contract {
            about: self.about(definition.as_ref()),
            credential,
            cost_usd_nanos: self.cost_usd_nanos(page),
            cost_tokens: self.cost.as_ref().and_then(|cost| cost.tokens).unwrap_or(0),
            counts: counts(page, &self.count, Some(input)),
            destinations: self.destinations.iter().map(|at| at.value.path(page, at.place, input)).collect(),
            effect,
            env: file.env.unwrap_or(Env::Prod).name().to_owned(),
            idempotency_header: self.idempotency_header(page),
            idempotency_field: self.idempotency_field(page, input),
            definition,
            degrade: self.degrade(page, input),
            deed: self.deed(page, input),
            care: self.care(page),
            redact: self.redact(page),
            stamp: self.stamp(page, input),
            to: self.reachable(page),
            input: input.clone(),
            labels: self.labels.clone(),
            meter: self.meter(page),
            name: format!("{}.{tool}", file.server.value),
            operation: self.operation.unwrap_or(written).law(),
            pin: self.pin(page),
            rate: self.rate(page),
            result_bytes_max: self
                .result_bytes_max
                .as_ref()
                .map_or(RESULT_BYTES_MAX, |at| page.at_least_one(at)),
            server: file.server.value.clone(),
            timeout_ms: timeout.map_or(TIMEOUT_MS, |at| page.duration_ms(at, 1, TIMEOUT_MS_MAX)),
            tool: tool.to_owned(),
            via: match reached {
                Reached::Http(base) => json!({ "http": { "url": base, "path": self.path(page, tool) } }),
                Reached::Mcp(place) => json!({ "mcp": place }),
            },
        };
        self.check_pin(page, &mut contract);
        contract
    }

    fn unbuilt(&self, page: &mut Page<'_>) {
        page.not_built(&[("cache", &self.cache, "take it away: each call reaches the tool")]);
        if let Some(limits) = &self.limits {
            let help = "limit the run or the minute: `per_run`, `per_minute`, `per_destination_per_minute`";
            page.not_built(&[("per_hour", &limits.per_hour, help), ("per_day", &limits.per_day, help)]);
        }
    }

    fn rate(&self, page: &mut Page<'_>) -> kernel::contract::ToolRate {
        let Some(limits) = &self.limits else { return Default::default() };
        if let (Some(at), true) = (&limits.per_destination_per_minute, self.destinations.is_empty()) {
            page.error("destination", at.place, "this tool names no destination")
                .help("add `destinations`, so that Remit knows which argument to look at");
        }
        let mut some = |at: &Option<At<u64>>| at.as_ref().map(|at| page.at_least_one(at));
        kernel::contract::ToolRate {
            per_destination_per_minute: some(&limits.per_destination_per_minute),
            per_minute: some(&limits.per_minute),
            per_run: some(&limits.per_run),
        }
    }

    fn idempotency_header(&self, page: &mut Page<'_>) -> Option<String> {
        let header = self.idempotency.as_ref()?.header.as_ref()?;
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if header.value.is_empty() || !header.value.bytes().all(token) {
            page.error("header", header.place, format!("`{}` is not the name of a header", header.value))
                .help("such as `Idempotency-Key`");
        }
        Some(header.value.clone())
    }

    fn path(&self, page: &mut Page<'_>, tool: &str) -> String {
        let Some(at) = &self.path else { return format!("/{tool}") };
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"?#\\\"<>{}`".contains(&byte);
        let up = at.value.split('/').any(|part| part == "..");
        if !at.value.starts_with('/') || up || !at.value.bytes().all(plain) {
            page.error("path", at.place, format!("`{}` is not a path", at.value))
                .help("starts with `/`; no `..`, query, fragment or space");
        }
        at.value.clone()
    }

    fn pin(&self, page: &mut Page<'_>) -> Option<Digest> {
        let at = self.pin.as_ref()?;
        match at.value.parse() {
            Ok(digest) => Some(digest),
            Err(error) => {
                page.error("pin", at.place, format!("`{}` is {error}", at.value))
                    .help("`remit tool show` prints the digest of the schema");
                None
            }
        }
    }

    /// What was accepted is pinned, whether or not a person wrote its digest too.
    fn check_pin(&self, page: &mut Page<'_>, contract: &mut Contract) {
        let now = contract.definition.as_ref().map_or(contract.input_digest(), definition_digest);
        let pinned = match contract.definition {
            Some(_) => contract.pin.replace(now),
            None => contract.pin,
        };
        let (Some(at), Some(pinned)) = (&self.pin, pinned) else { return };
        if pinned != now {
            let message = format!("`{}` is not described as it was when it was pinned", contract.name);
            page.error("pin", at.place, message).help(format!(
                "pinned {pinned}, now {now}. Read what changed; if you accept it, write `pin: {now}`"
            ));
        }
    }
}

fn check_name(page: &mut Page<'_>, name: &str, place: Place, plain: impl Fn(u8) -> bool, help: &str) {
    if name.is_empty() || name.len() > NAME_LENGTH_MAX || !name.bytes().all(plain) {
        page.error("tool-name", place, format!("`{name}` cannot be part of a tool's name"))
            .help(format!("{help}, at most {NAME_LENGTH_MAX}"));
    }
}

fn is_base_url(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"?#@\\\"<>{}`".contains(&byte);
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', ':']) && rest.bytes().all(plain))
}
