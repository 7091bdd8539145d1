//! `tools/*.yaml`: what Remit knows of each tool of a server. No contract, no such tool.

mod shape;

use kernel::contract::{Contract, DestinationKind, DestinationPath};
use serde_json::{Value, json};
use stdx::digest::Digest;
use stdx::nearest::nearest;

use self::shape::{Credential, DestinationEntry, Effect, Operation, ToolEntry};
pub(super) use self::shape::{Env, ToolFile};
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

impl ToolFile {
    pub(super) fn contracts(&self, page: &mut Page<'_>) -> Vec<Contract> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        check_name(page, &self.server.value, self.server.place, plain, "letters, digits, `_` and `-`");
        let base = self.base(page);
        let credential = self.credential.as_ref().map(|credential| credential.reference(page, &base));
        let mut contracts = Vec::new();
        for (tool, at) in &self.tools {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            let place = page.key(tool, at.place);
            check_name(page, tool, place, plain, "letters, digits, `.`, `_` and `-`");
            contracts.push(at.value.contract(page, self, tool, &base, credential.clone()));
        }
        contracts
    }

    /// The base URL, without a slash at its end.
    fn base(&self, page: &mut Page<'_>) -> String {
        let via = &self.via.value;
        let later = "use `http: { url }`; other ways come with a later version";
        page.not_built(&[
            ("mcp", &via.mcp, later),
            ("openapi", &via.openapi, later),
            ("stdio", &via.stdio, later),
        ]);
        let Some(http) = &via.http else {
            if !page.problems.iter().any(|problem| problem.code == "not-built") {
                page.error("missing-key", self.via.place, "`via` names no way to reach the server")
                    .help("add `http: { url: \"https://…\" }`");
            }
            return String::new();
        };
        page.not_built(&[(
            "headers",
            &http.headers,
            "use `credential: { bearer: \"env:NAME\" }` for a token",
        )]);
        let url = http.url.value.as_str();
        if !is_base_url(url) {
            page.error("url", http.url.place, "this is not the address of a tool server").help(
                "`http://` or `https://`, a host and perhaps a path; no user, query, fragment or space",
            );
        }
        url.trim_end_matches('/').to_owned()
    }
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
    fn contract(
        &self,
        page: &mut Page<'_>,
        file: &ToolFile,
        tool: &str,
        base: &str,
        credential: Option<String>,
    ) -> Contract {
        self.unbuilt(page);
        self.check_input(page);
        let effect = self.effect.law();
        let written = if effect.writes() { Operation::Write } else { Operation::Read };
        let timeout = self.limits.as_ref().and_then(|limits| limits.timeout.as_ref());
        let contract = Contract {
            about: self.about.clone(),
            credential,
            cost_usd_nanos: self.cost.as_ref().map_or(0, |cost| page.usd_nanos(&cost.usd)),
            destinations: self.destinations.iter().map(|at| self.destination(page, at)).collect(),
            effect,
            env: file.env.unwrap_or(Env::Prod).name().to_owned(),
            idempotency_header: self.idempotency_header(page),
            input: self.input.value.clone(),
            labels: self.labels.clone(),
            name: format!("{}.{tool}", file.server.value),
            operation: self.operation.unwrap_or(written).law(),
            pin: self.pin(page),
            result_bytes_max: self
                .result_bytes_max
                .as_ref()
                .map_or(RESULT_BYTES_MAX, |at| page.at_least_one(at)),
            server: file.server.value.clone(),
            timeout_ms: timeout.map_or(TIMEOUT_MS, |at| page.duration_ms(at, 1, TIMEOUT_MS_MAX)),
            tool: tool.to_owned(),
            via: json!({ "http": { "url": base, "path": self.path(page, tool) } }),
        };
        self.check_pin(page, &contract);
        contract
    }

    fn unbuilt(&self, page: &mut Page<'_>) {
        page.not_built(&[
            ("cache", &self.cache, "take it away: each call reaches the tool"),
            ("count", &self.count, "take it away, and limit calls or dollars in the manifest's `budget`"),
            (
                "delay",
                &self.delay,
                "take it away; calls that cannot be taken back can be limited by `budget`",
            ),
            ("expect", &self.expect, "take it away; what was done is in the ledger"),
            ("preview", &self.preview, "take it away"),
            (
                "redact",
                &self.redact,
                "take it away, and forbid the call with a rule if it may hold such data",
            ),
            ("stamp", &self.stamp, "take it away; run and call ids travel along as headers"),
            ("touches", &self.touches, "take it away; resources come with plans"),
            ("undo", &self.undo, "take it away; nothing is undone by itself yet"),
            ("version", &self.version, "take it away"),
        ]);
        if let Some(limits) = &self.limits {
            let help = "only `timeout` holds yet; limit a run in the manifest: `limits: { per_run }`";
            page.not_built(&[
                ("concurrent", &limits.concurrent, help),
                ("per_run", &limits.per_run, help),
                ("per_minute", &limits.per_minute, help),
                ("per_hour", &limits.per_hour, help),
                ("per_day", &limits.per_day, help),
            ]);
        }
        if let Some(idempotency) = &self.idempotency {
            page.not_built(&[(
                "field",
                &idempotency.field,
                "use `header`, if the server reads one; else take it away",
            )]);
        }
    }

    fn check_input(&self, page: &mut Page<'_>) {
        if self.input.value.get("type").and_then(Value::as_str) != Some("object") {
            page.error("input", self.input.place, "the arguments of a tool are an object")
                .help("begin with `type: object`, then `properties` and `required`");
        }
    }

    fn destination(&self, page: &mut Page<'_>, at: &At<DestinationEntry>) -> DestinationPath {
        let entry = &at.value;
        let (kind, written) = match (&entry.email, &entry.host, &entry.url) {
            (Some(email), None, None) => (DestinationKind::Email, email),
            (None, Some(host), None) => (DestinationKind::Host, host),
            (None, None, Some(url)) => (DestinationKind::Url, url),
            _ => {
                page.error("destination", at.place, "a destination is exactly one of `email`, `host`, `url`")
                    .help("one entry for each, such as `[{ email: args.to }, { email: args.cc }]`");
                return DestinationPath { kind: DestinationKind::Email, path: Vec::new() };
            }
        };
        let path: Vec<String> = written.value.split('.').skip(1).map(str::to_owned).collect();
        if !written.value.starts_with("args.") || path.iter().any(String::is_empty) {
            page.error("destination", written.place, format!("`{}` names no argument", written.value))
                .help("`args.` and the name of an argument, such as `args.to`");
        } else {
            self.check_path(page, written, &path);
        }
        DestinationPath { kind, path }
    }

    /// A misspelt path would find no destination, and so guard nothing.
    fn check_path(&self, page: &mut Page<'_>, written: &At<String>, path: &[String]) {
        let mut schema = &self.input.value;
        for name in path {
            while let Some(items) = schema.get("items") {
                schema = items;
            }
            let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
            let Some(next) = properties.get(name) else {
                let help = nearest(name, properties.keys().map(String::as_str)).map_or_else(
                    || "name a property of `input`".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
                page.error("destination", written.place, format!("`input` has no property `{name}`"))
                    .help(help);
                return;
            };
            schema = next;
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

    fn check_pin(&self, page: &mut Page<'_>, contract: &Contract) {
        let (Some(at), Some(pinned)) = (&self.pin, contract.pin) else { return };
        let now = contract.input_digest();
        if pinned != now {
            let message = format!("the input schema of `{}` is not the one that was pinned", contract.name);
            page.error("pin", at.place, message).help(format!(
                "pinned {pinned}, now {now}. Read what changed in `input`; if you accept it, write `pin: {now}`"
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
