//! `remit check`: a whole configuration, without starting.

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::Whose;
use crate::{compose, config, out};

pub(super) fn check(whose: &Whose) -> Result<ExitCode> {
    let compiled = config::load(&whose.config).and_then(compose::compile);
    match compiled {
        Ok((rules, _, warnings)) => {
            for warning in &warnings {
                out::talk(warning);
            }
            if whose.json {
                out::json(&serde_json::json!({
                    "ok": true, "digest": rules.digest, "agents": rules.book.agents.len(),
                    "tools": rules.book.tools.len(), "rules": rules.policy.rule_count(), "warnings": warnings.len(),
                }))?;
            } else {
                out::line(format!(
                    "ok: {} agents, {} tools, {} rules, {} warnings; {}",
                    rules.book.agents.len(),
                    rules.book.tools.len(),
                    rules.policy.rule_count(),
                    warnings.len(),
                    rules.digest
                ));
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(problems) => {
            out::talk(problems.render(out::coloured()));
            Ok(ExitCode::FAILURE)
        }
    }
}
