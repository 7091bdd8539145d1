//! The shape of `tools/*.yaml`, key by key; the comments are its reference.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::undo::{Expect, Preview, Undo, Version};
use super::{RESULT_BYTES_MAX, TIMEOUT_MS};
use crate::config::house::words;
use crate::config::yaml::{At, Later, Usd};

words! {
    Env { Dev = "dev", Staging = "staging", Prod = "prod" }
    Effect {
        /// Changes nothing.
        Read = "read",
        /// Can be taken back.
        Reversible = "reversible",
        /// Can not.
        Irreversible = "irreversible",
    }
    Offer {
        /// `read_resource`, `subscribe_resource`, `unsubscribe_resource`
        Resources = "resources",
        /// `get_prompt`
        Prompts = "prompts",
        /// `complete`
        Completions = "completions",
        /// `elicit`: the server may ask the client for input while a call is under way
        Elicitation = "elicitation",
        /// `sample`: the same for an answer of the client's model
        Sampling = "sampling",
        /// `list_roots`: the same for the client's folders
        Roots = "roots",
    }
    Operation { Read = "read", Write = "write", Execute = "execute", Delegate = "delegate" }
}

/// `tools/*.yaml`: one tool server, one file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ToolFile {
    /// The first half of every tool's full name: letters, digits, `_` and `-`.
    pub(in crate::config) server: At<String>,
    /// How it is reached.
    pub(in crate::config) via: At<Via>,
    /// The environment that its effects land in.
    #[schemars(extend("default" = "prod"))]
    pub(in crate::config) env: Option<Env>,
    /// Where the secret is that opens it. It is fetched for one call at a time, and no agent ever sees it.
    pub(in crate::config) credential: Option<Credential>,
    /// What else of an MCP server agents may ask for, and what it may ask of them: each becomes tools of its own, such
    /// as `notes.read_resource` or `notes.elicit`.
    #[serde(default)]
    pub(in crate::config) offers: Vec<Offer>,
    /// The contract of each tool, by its name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, ToolEntry>")]
    pub(in crate::config) tools: BTreeMap<String, At<ToolEntry>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::config) struct Via {
    /// JSON over HTTP: the arguments are posted, the result is the answer's body.
    pub(in crate::config) http: Option<Http>,
    /// An MCP server over streamable HTTP, of any revision.
    pub(in crate::config) mcp: Option<Mcp>,
    #[serde(default)]
    #[schemars(skip)]
    pub(in crate::config) openapi: Later,
    /// An MCP server that Remit starts, and speaks to over its standard input and output.
    pub(in crate::config) stdio: Option<Stdio>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::config) struct Mcp {
    /// The whole address, such as `https://mcp.example/mcp`.
    pub(in crate::config) url: At<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::config) struct Stdio {
    /// The program: a path, or a name that is looked for in `PATH`.
    pub(in crate::config) command: At<String>,
    #[serde(default)]
    pub(in crate::config) args: Vec<String>,
    /// All of its environment beside `PATH`: literals, or `env:NAME` and `file:PATH` for secrets.
    #[serde(default)]
    pub(in crate::config) env: BTreeMap<String, String>,
    /// Where it runs. Default: the folder of `remit.yaml`.
    pub(in crate::config) cwd: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::config) struct Http {
    /// The address that the path of each tool is added to, such as `https://desk.example/api`.
    pub(in crate::config) url: At<String>,
    #[serde(default)]
    #[schemars(skip)]
    pub(in crate::config) headers: Later,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::config) struct Credential {
    /// `env:NAME` or `file:PATH`, sent as a bearer token. Never the secret itself.
    #[schemars(regex(pattern = r"^(env|file):.+$"))]
    pub(in crate::config) bearer: At<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::config) struct ToolEntry {
    /// What it does to the world.
    pub(in crate::config) effect: Effect,
    /// What kind of act it is. Default: `read` for the effect `read`, else `write`.
    pub(in crate::config) operation: Option<Operation>,
    /// What it does, in a sentence that agents read too.
    #[serde(default)]
    pub(in crate::config) about: String,
    /// JSON Schema of its arguments. Rules over them are checked against it. For a tool of an MCP server it is in the
    /// server's own definition, which `remit tool accept` writes down.
    #[schemars(with = "Option<Map<String, Value>>")]
    pub(in crate::config) input: Option<At<Value>>,
    /// Which arguments say where something goes.
    #[serde(default)]
    #[schemars(with = "Vec<DestinationEntry>")]
    pub(in crate::config) destinations: Vec<At<DestinationEntry>>,
    /// The destinations it may reach, whichever agent calls it, as patterns, such as `*@customers.example`. Without it:
    /// any.
    #[serde(default)]
    pub(in crate::config) to: Option<At<Vec<At<String>>>>,
    /// How a repeated call is known for the same; without it no call is ever retried.
    pub(in crate::config) idempotency: Option<Idempotency>,
    /// What one call costs at most.
    pub(in crate::config) cost: Option<Cost>,
    /// Arguments that are a currency of their own, by name, such as `refunded_cents: args.amount_cents`.
    #[serde(default)]
    pub(in crate::config) count: BTreeMap<String, At<String>>,
    /// What a call must do with less of, once a budget has come to a gate that says `degrade`.
    pub(in crate::config) degrade: Option<At<Degrade>>,
    /// What its results are marked with.
    #[serde(default)]
    pub(in crate::config) labels: Vec<String>,
    /// How much of it.
    pub(in crate::config) limits: Option<ToolLimits>,
    /// The digest that a person has accepted: of `input`, or of the definition of a tool of an MCP server.
    #[schemars(regex(pattern = r"^sha256:[0-9a-f]{64}$"))]
    pub(in crate::config) pin: Option<At<String>>,
    /// The HTTP path. Default: `/` and the tool's name.
    pub(in crate::config) path: Option<At<String>>,
    /// Results above this are refused.
    #[schemars(extend("default" = RESULT_BYTES_MAX))]
    pub(in crate::config) result_bytes_max: Option<At<u64>>,
    #[serde(default)]
    #[schemars(skip)]
    pub(in crate::config) cache: Later,
    /// How long it waits after all other steps of its plan stand, while it can still be called off, such as `60s`. Only
    /// of a tool that cannot be taken back.
    pub(in crate::config) delay: Option<At<String>>,
    /// What must hold once it is done, or its plan is taken back.
    pub(in crate::config) expect: Option<Expect>,
    /// What answers in its place while it is left alone or its server is down. Agents are told that it is a fallback.
    pub(in crate::config) fallback: Option<At<Fallback>>,
    /// A read that shows how things are before it, for whoever looks at a plan.
    pub(in crate::config) preview: Option<Preview>,
    /// A read that tells whether it happened, for when its answer was lost.
    pub(in crate::config) probe: Option<Expect>,
    /// What may not pass in its arguments, and what agents do not see of its results.
    pub(in crate::config) redact: Option<Redact>,
    /// Where the run's id is written into its arguments, so that what it did can be searched by run.
    pub(in crate::config) stamp: Option<Stamp>,
    /// How gently it is called.
    pub(in crate::config) care: Option<Care>,
    /// What it changes, by names that another tool's contract would give it too, such as
    /// `"charge:{args.charge_id}"`. Two plans that touch the same do not run at once.
    #[serde(default)]
    pub(in crate::config) touches: Vec<At<String>>,
    /// How it is taken back, or `none`. What names no undo counts as irreversible in a plan, whatever `effect` says.
    pub(in crate::config) undo: Option<At<Undo>>,
    /// A read that tells whether somebody else has changed the same thing since. Without it an undo is unguarded.
    pub(in crate::config) version: Option<Version>,
}

/// Exactly one of the kinds; `name` and `at` only beside `repository`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::config) struct DestinationEntry {
    /// An argument that holds an e-mail address, such as `args.to`.
    pub(in crate::config) email: Option<At<String>>,
    /// An argument that holds a host name.
    pub(in crate::config) host: Option<At<String>>,
    /// An argument that holds a URL; its host is the destination.
    pub(in crate::config) url: Option<At<String>>,
    /// An argument that holds a URL; its host and path are the destination, such as `hooks.example/T1/x`.
    pub(in crate::config) webhook: Option<At<String>>,
    /// An argument that holds a chat channel: `#name`, or an id as the service writes it.
    pub(in crate::config) channel: Option<At<String>>,
    /// An argument that holds a repository, `owner/name` or an address: `github.com/owner/name`, in lower case.
    pub(in crate::config) repository: Option<At<String>>,
    /// Beside `repository`: the argument that holds its name, where that one holds the owner alone.
    pub(in crate::config) name: Option<At<String>>,
    /// Beside `repository`: the host that `owner/name` alone means.
    #[schemars(extend("default" = "github.com"))]
    pub(in crate::config) at: Option<At<String>>,
    /// An argument that holds an absolute file path. Match it by patterns such as `/srv/data/**`.
    pub(in crate::config) path: Option<At<String>>,
    /// An argument that holds content, such as the body of a mail: each URL's host and each e-mail address in it.
    pub(in crate::config) text: Option<At<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::config) struct Idempotency {
    /// The header that carries the key of the call.
    pub(in crate::config) header: Option<At<String>>,
    /// The argument that carries it, such as `idempotency_key`.
    pub(in crate::config) field: Option<At<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::config) struct Cost {
    /// Dollars, exact to a thousand-millionth.
    pub(in crate::config) usd: Option<At<Usd>>,
    /// Tokens of a model, of every kind together. Default: the sum of the kinds.
    pub(in crate::config) tokens: Option<u64>,
    /// Tokens that a model reads anew.
    pub(in crate::config) tokens_in: Option<u64>,
    /// Tokens that it writes.
    pub(in crate::config) tokens_out: Option<u64>,
    /// Tokens that it has read before, and finds in a cache.
    pub(in crate::config) tokens_cached: Option<u64>,
    /// What a call costs that failed for certain. Without it: nothing, and its counts are given back.
    pub(in crate::config) failed: Option<Failed>,
    /// Where its result tells what it took: what is not told there is what is written here.
    pub(in crate::config) told: Option<At<Told>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::config) struct Failed {
    pub(in crate::config) usd: Option<At<Usd>>,
    /// Tokens of each kind that it may have taken.
    pub(in crate::config) tokens: Option<u64>,
    /// Whether what `count` counts is counted all the same, because it may have been done in part.
    #[schemars(extend("default" = false))]
    pub(in crate::config) counts: Option<bool>,
}

/// Paths to whole numbers in its result, such as `result.usage.input_tokens`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::config) struct Told {
    pub(in crate::config) tokens: Option<At<String>>,
    pub(in crate::config) tokens_in: Option<At<String>>,
    pub(in crate::config) tokens_out: Option<At<String>>,
    pub(in crate::config) tokens_cached: Option<At<String>>,
}

/// What a call must do with less of, once a budget has come to a gate that says `degrade`. The agent is told.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::config) struct Degrade {
    /// Arguments of a read that are then no more than this, such as `args.limit: 20`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, u64>")]
    pub(in crate::config) cap: BTreeMap<String, At<u64>>,
    /// The class of model that is enough then. An executor must say that it heeds it.
    pub(in crate::config) model: Option<At<String>>,
    /// The full name of a cheaper tool that takes the same arguments: it is called in the place of this read, and the
    /// agent must be allowed to call it.
    pub(in crate::config) tool: Option<At<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::config) struct ToolLimits {
    /// How long one call may take; at most ten minutes.
    #[schemars(extend("default" = stdx::duration::format_ms(TIMEOUT_MS)))]
    pub(in crate::config) timeout: Option<At<String>>,
    /// How many calls of it may be under way at once.
    #[schemars(extend("default" = kernel::contract::Care::default().concurrent))]
    pub(in crate::config) concurrent: Option<At<u64>>,
    /// Calls of it that one run may make.
    pub(in crate::config) per_run: Option<At<u64>>,
    /// Calls of it that all agents together may make in a minute.
    pub(in crate::config) per_minute: Option<At<u64>>,
    /// The same, to one destination; needs `destinations`.
    pub(in crate::config) per_destination_per_minute: Option<At<u64>>,
    #[serde(default)]
    #[schemars(skip)]
    pub(in crate::config) per_hour: Later,
    #[serde(default)]
    #[schemars(skip)]
    pub(in crate::config) per_day: Later,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::config) struct Stamp {
    /// The path of a text argument, such as `metadata.remit_run`.
    pub(in crate::config) field: At<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::config) struct Care {
    /// Failures in a row after which it is left alone for a while.
    #[schemars(extend("default" = kernel::contract::Care::default().failures_max))]
    pub(in crate::config) failures_max: Option<At<u64>>,
    /// Calls that may wait for their turn; the next is told when to come again.
    #[schemars(extend("default" = kernel::contract::Care::default().queue))]
    pub(in crate::config) queue: Option<u64>,
    /// Tries after the first: of reads, and of calls with an idempotency key.
    #[schemars(extend("default" = kernel::contract::Care::default().retries))]
    pub(in crate::config) retries: Option<u64>,
}

/// Exactly one of the two.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::config) struct Fallback {
    /// A fixed answer. Where the tool has a schema for its results, it must fit that.
    pub(in crate::config) answer: Option<Value>,
    /// The full name of another tool that takes the same arguments. It is a call of its own, which the agent must be
    /// allowed to make.
    pub(in crate::config) tool: Option<String>,
}

words! {
    Pattern {
        /// Keys and tokens in the forms that their issuers give them.
        Secrets = "secrets",
        Email = "email",
        CreditCard = "credit_card",
        Iban = "iban",
        Phone = "phone",
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::config) struct Redact {
    /// Patterns that refuse a call whose arguments hold one.
    #[serde(default)]
    #[schemars(with = "Vec<Forbidden>")]
    pub(in crate::config) arguments: Vec<At<Forbidden>>,
    /// Fields of the result that are taken out, such as `customer.email`. Where one is missing, what should hold it is
    /// taken out too.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(in crate::config) fields: Vec<At<String>>,
    /// Patterns that are blotted out of its results.
    #[serde(default)]
    pub(in crate::config) results: Vec<Pattern>,
}

/// A pattern by itself, or with where it may go.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(in crate::config) enum Forbidden {
    Everywhere(Pattern),
    Elsewhere(Elsewhere),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::config) struct Elsewhere {
    pub(in crate::config) pattern: Pattern,
    /// Destinations that it may be sent to, such as `*@bank.example`.
    pub(in crate::config) unless_to: Vec<String>,
}
