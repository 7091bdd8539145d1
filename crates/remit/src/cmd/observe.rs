//! `remit observe`: what would have hindered agents that are only watched.

use std::process::ExitCode;

use anyhow::Result;
use api::observe::Observed;

use super::remote::{client, query};
use crate::cli::Whose;
use crate::out;

pub(super) async fn report(whose: &Whose, agent: Option<String>, within: Option<String>) -> Result<ExitCode> {
    let asked = query(&[("agent", agent), ("within", within)]);
    let observed: Observed = client(whose)?.get(&format!("/v1/observed{asked}")).await?;
    if whose.json {
        out::json(&observed)?;
        return Ok(ExitCode::SUCCESS);
    }
    if observed.items.is_empty() {
        out::talk(format!("nothing would have been hindered within {}", observed.within));
        return Ok(ExitCode::SUCCESS);
    }
    let rows = observed.items.into_iter().map(|row| {
        let rule = row.rule.unwrap_or_else(|| "-".to_owned());
        vec![row.agent, row.tool, row.would, row.code, rule, row.times.to_string(), row.call]
    });
    out::table(&["agent", "tool", "would", "why", "rule", "times", "last"], rows.collect());
    Ok(ExitCode::SUCCESS)
}
