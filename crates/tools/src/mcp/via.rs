//! What a contract's `via` may say of an MCP server, strictly: an address, or a command that Remit starts.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::catalog::{self, HttpVia};
use crate::error::Error;

const ARGS_MAX: usize = 128;
const ENV_MAX: usize = 64;
const TEXT_LENGTH_MAX: usize = 8 * 1024;

/// What a call on a server can be, beside `tools/call`.
pub const METHODS: [&str; 8] = [
    "completion/complete",
    "prompts/get",
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "elicitation/create",
    "roots/list",
    "sampling/createMessage",
];

/// What a server asks of a client, and the capability that a client says it with.
pub const QUESTIONS: [(&str, &str); 3] =
    [("elicitation/create", "elicitation"), ("roots/list", "roots"), ("sampling/createMessage", "sampling")];

/// In what the door tells of a client, beside the parameters of a further round: what the server may want of it, and
/// what it answered.
pub(crate) const CAPABILITIES: &str = "capabilities";
pub(crate) const ANSWER: &str = "answer";

/// Where a tool's server is, and what is asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct McpVia {
    pub server: String,
    pub place: Place,
    /// None: `tools/call`.
    pub method: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Http(HttpVia),
    Stdio(Command),
}

/// A program that speaks MCP over its standard input and output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    pub command: String,
    pub args: Vec<String>,
    /// Each value is a literal, or a reference that the vault opens: `env:NAME`, `file:PATH`.
    pub env: BTreeMap<String, String>,
    pub cwd: Option<String>,
}

/// Reads the `via` of an MCP tool. For the configuration too: mistakes are found before the first call.
pub fn parse(via: &Value) -> Result<McpVia, Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Via {
        mcp: Server,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Server {
        server: String,
        url: Option<String>,
        command: Option<String>,
        #[serde(default)]
        args: Vec<String>,
        #[serde(default)]
        env: BTreeMap<String, String>,
        cwd: Option<String>,
        method: Option<String>,
    }
    let Via { mcp } = Via::deserialize(via).map_err(|error| Error::Via { why: error.to_string() })?;
    let Server { server, url, command, args, env, cwd, method } = mcp;
    if let Some(method) = method.as_deref().filter(|method| !METHODS.contains(method)) {
        return unusable(format!("`{method}` is not one of {}", METHODS.join(", ")));
    }
    let place = match (url, command) {
        (Some(url), None) if args.is_empty() && env.is_empty() && cwd.is_none() => {
            Place::Http(catalog::parse_address(&url)?)
        }
        (Some(_), None) => return unusable("`args`, `env` and `cwd` belong to a `command`, not to a `url`"),
        (None, Some(command)) => Place::Stdio(check_command(Command { command, args, env, cwd })?),
        _ => return unusable("it needs either a `url` or a `command`"),
    };
    Ok(McpVia { server, place, method })
}

fn check_command(command: Command) -> Result<Command, Error> {
    if command.args.len() > ARGS_MAX || command.env.len() > ENV_MAX {
        return unusable(format!("more than {ARGS_MAX} arguments or {ENV_MAX} variables"));
    }
    if command.command.is_empty() {
        return unusable("the command is empty");
    }
    let texts = [Some(&command.command), command.cwd.as_ref()].into_iter().flatten();
    let texts = texts.chain(&command.args).chain(command.env.values());
    for text in texts {
        if text.contains('\0') || text.len() > TEXT_LENGTH_MAX {
            return unusable(format!("a text holds a null byte or is longer than {TEXT_LENGTH_MAX} bytes"));
        }
    }
    let is_name = |name: &str| {
        let mut bytes = name.bytes();
        bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    match command.env.keys().find(|name| !is_name(name)) {
        Some(name) => unusable(format!("`{name}` is not a variable's name")),
        None => Ok(command),
    }
}

fn unusable<T>(why: impl Into<String>) -> Result<T, Error> {
    Err(Error::Via { why: why.into() })
}

#[cfg(test)]
mod tests;
