//! `remit check`: a whole configuration, without starting.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use crate::cli::Whose;
use crate::{compose, config, out};

pub(super) fn check(whose: &Whose) -> Result<ExitCode> {
    let (rules, warnings) = match config::load(&whose.config).and_then(compose::compile) {
        Ok((rules, _, warnings)) => (rules, warnings),
        Err(problems) if whose.json => {
            out::json(&json!({ "ok": false, "problems": problems.json() }))?;
            return Ok(ExitCode::FAILURE);
        }
        Err(problems) => {
            out::talk(problems.render(out::coloured()));
            return Ok(ExitCode::FAILURE);
        }
    };
    let (agents, tools) = (rules.book.agents.len(), rules.book.tools.len());
    let count = rules.policy.rule_count();
    if whose.json {
        out::json(&json!({
            "ok": true, "digest": rules.digest, "agents": agents, "tools": tools, "rules": count,
            "warnings": warnings.list.len(), "problems": warnings.json(),
        }))?;
    } else {
        out::warnings(&warnings);
        out::line(format!(
            "ok: {agents} agents, {tools} tools, {count} rules, {} warnings; {}",
            warnings.list.len(),
            rules.digest
        ));
    }
    Ok(ExitCode::SUCCESS)
}
