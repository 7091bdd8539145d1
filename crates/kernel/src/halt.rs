//! The kill switch: from the moment it is acknowledged, no call in its scope is permitted.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::call::Call;
use crate::time::Time;

/// As much of what is no scope is said again.
const TYPED_CHARS_MAX: usize = 80;

/// What is halted. Written `all`, `writes`, `agent:NAME`, `server:NAME`, `tool:NAME`, `run:ID`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Scope {
    All,
    Writes,
    Agent(String),
    Server(String),
    Tool(String),
    Run(String),
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Halt {
    pub by: String,
    pub why: String,
    pub since: Time,
}

impl Scope {
    pub fn covers(&self, call: &Call, writes: bool) -> bool {
        match self {
            Scope::All => true,
            Scope::Writes => writes,
            Scope::Agent(name) => call.agent == *name,
            Scope::Server(name) => call.tool.split_once('.').is_some_and(|(server, _)| server == name),
            Scope::Tool(name) => call.tool == *name,
            Scope::Run(id) => call.run.to_string() == *id,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::All => f.write_str("all"),
            Scope::Writes => f.write_str("writes"),
            Scope::Agent(name) => write!(f, "agent:{name}"),
            Scope::Server(name) => write!(f, "server:{name}"),
            Scope::Tool(name) => write!(f, "tool:{name}"),
            Scope::Run(id) => write!(f, "run:{id}"),
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
            "`{}` is no scope: expected all, writes, agent:NAME, server:NAME, tool:NAME or run:ID",
            self.typed
        )
    }
}

impl std::error::Error for NotAScope {}

impl FromStr for Scope {
    type Err = NotAScope;

    fn from_str(text: &str) -> Result<Scope, NotAScope> {
        match text {
            "all" => return Ok(Scope::All),
            "writes" => return Ok(Scope::Writes),
            _ => {}
        }
        let refused = || NotAScope { typed: text.chars().take(TYPED_CHARS_MAX).collect() };
        let (kind, name) = text.split_once(':').filter(|(_, name)| !name.is_empty()).ok_or_else(refused)?;
        let name = name.to_owned();
        match kind {
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
