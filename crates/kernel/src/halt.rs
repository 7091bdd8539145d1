//! The kill switch: from the moment it is acknowledged, no call in its scope is permitted.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::Time;

/// As much of what is no scope is said again.
const TYPED_CHARS_MAX: usize = 80;
/// Between a scope and the environment that it is narrowed to. No name holds a blank.
const IN: &str = " in ";

/// What is halted. Written `all`, `writes`, `irreversible`, `tenant:NAME`, `agent:NAME`, `server:NAME`, `tool:NAME`,
/// `run:ID`, and each narrowed to an environment, as in `writes in prod`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Scope {
    All,
    Writes,
    Irreversible,
    Tenant(String),
    Agent(String),
    Server(String),
    Tool(String),
    /// A run, and what descends from it.
    Run(String),
    /// Only with tools of one environment; never one of these within another.
    In(Box<Scope>, String),
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Halt {
    pub by: String,
    pub why: String,
    pub since: Time,
    /// When it lifts itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// It freezes: what only reads goes on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reads_allowed: bool,
}

impl Halt {
    /// Whether its time has not come. What is over binds nobody, whether or not it is swept away yet.
    pub fn is_due(&self, now: Time) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// What is told of it.
    pub fn says(&self, scope: &Scope) -> String {
        let reads = if self.reads_allowed { ", reads allowed" } else { "" };
        let until = self.until.map(|until| format!(", until {until}")).unwrap_or_default();
        format!("{scope}{reads}, since {}{until} by {}: {}", self.since, self.by, self.why)
    }
}

impl Scope {
    /// The same, only with tools of one environment.
    #[must_use]
    pub fn within(self, env: &str) -> Scope {
        match self {
            Scope::In(scope, _) => Scope::In(scope, env.to_owned()),
            scope => Scope::In(Box::new(scope), env.to_owned()),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::All => f.write_str("all"),
            Scope::Writes => f.write_str("writes"),
            Scope::Irreversible => f.write_str("irreversible"),
            Scope::Tenant(name) => write!(f, "tenant:{name}"),
            Scope::Agent(name) => write!(f, "agent:{name}"),
            Scope::Server(name) => write!(f, "server:{name}"),
            Scope::Tool(name) => write!(f, "tool:{name}"),
            Scope::Run(id) => write!(f, "run:{id}"),
            Scope::In(scope, env) => write!(f, "{scope}{IN}{env}"),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub struct NotAScope {
    typed: String,
}

impl fmt::Display for NotAScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is no scope: expected all, writes, irreversible, tenant:NAME, agent:NAME, server:NAME, tool:NAME \
             or run:ID, and ` in ENV` after it where one environment is meant",
            self.typed
        )
    }
}

impl std::error::Error for NotAScope {}

impl FromStr for Scope {
    type Err = NotAScope;

    fn from_str(text: &str) -> Result<Scope, NotAScope> {
        let refused = || NotAScope { typed: text.chars().take(TYPED_CHARS_MAX).collect() };
        if let Some((scope, env)) = text.rsplit_once(IN) {
            let plain = !env.is_empty() && !env.contains(' ') && !scope.contains(IN);
            let scope: Scope = scope.parse().map_err(|_| refused())?;
            return if plain { Ok(scope.within(env)) } else { Err(refused()) };
        }
        match text {
            "all" => return Ok(Scope::All),
            "writes" => return Ok(Scope::Writes),
            "irreversible" => return Ok(Scope::Irreversible),
            _ => {}
        }
        let (kind, name) = text.split_once(':').filter(|(_, name)| !name.is_empty()).ok_or_else(refused)?;
        let name = name.to_owned();
        match kind {
            "tenant" => Ok(Scope::Tenant(name)),
            "agent" => Ok(Scope::Agent(name)),
            "server" => Ok(Scope::Server(name)),
            "tool" => Ok(Scope::Tool(name)),
            "run" => Ok(Scope::Run(name)),
            _ => Err(refused()),
        }
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Scope, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(input)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
