//! Before: reads that an agent must have made before it may write.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stdx::glob;
use stdx::json::canonical;

use crate::agent::Manifest;
use crate::rules::Rules;
use crate::template::Values;

/// `read` succeeded in the same run, not longer ago than `within_ms`, and told of the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Before {
    pub read: String,
    /// From a value of the write (`args.x`) to a value of the read (`result.y`, or its `args.y`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub same: BTreeMap<String, String>,
    /// The write that needs it; a full name, or a pattern.
    pub tool: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_ms: Option<u64>,
}

/// Whether some rule wants to know what a read told.
pub fn is_told(rules: &Rules, agent: &str, tool: &str) -> bool {
    rules.agent(agent).is_some_and(|manifest| served(manifest, tool).next().is_some())
}

/// What a read told, one for each rule that it serves: the bytes that are marked.
pub fn tells(rules: &Rules, agent: &str, tool: &str, args: &Value, result: &Value) -> Vec<Vec<u8>> {
    let Some(manifest) = rules.agent(agent) else { return Vec::new() };
    let values = Values { args: Some(args), result: Some(result), ..Values::default() };
    served(manifest, tool).filter_map(|before| before.fact(before.same.values(), &values)).collect()
}

/// What the rules want of a write, one for each rule that names it; none: a value that is to be the same is missing.
pub fn wants(rules: &Rules, agent: &str, tool: &str, args: &Value) -> Vec<Option<Vec<u8>>> {
    let Some(manifest) = rules.agent(agent) else { return Vec::new() };
    let values = Values { args: Some(args), ..Values::default() };
    wanted(manifest, tool).map(|before| before.fact(before.same.keys(), &values)).collect()
}

/// The rules that name this read.
fn served<'a>(manifest: &'a Manifest, tool: &'a str) -> impl Iterator<Item = &'a Before> {
    manifest.commits.before.iter().filter(move |before| glob::matches(&before.read, tool))
}

/// The rules that name this write, in their order.
pub(crate) fn wanted<'a>(manifest: &'a Manifest, tool: &'a str) -> impl Iterator<Item = &'a Before> {
    manifest.commits.before.iter().filter(move |before| glob::matches(&before.tool, tool))
}

impl Before {
    /// The same bytes for a read and a write that are about the same.
    fn fact<'p>(&self, paths: impl Iterator<Item = &'p String>, values: &Values<'_>) -> Option<Vec<u8>> {
        let found: Option<Vec<&Value>> = paths.map(|path| values.get(path)).collect();
        Some(canonical(&(&self.read, &self.tool, &self.same, found?)))
    }
}
