//! `remit policy …` and `remit who-can`: the rules, asked without starting anything.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use ::policy::{Answer, Decision, Question, RuleRef};
use anyhow::{Context, Result, bail};
use kernel::decide::explain_policy;
use kernel::rules::Rules;
use kernel::time::Time;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cli::{Policy, Whose};
use crate::{compose, config, out};

/// Noon on a Monday: rules about hours are asked at a time that is the same every day.
const ASKED_AT: Time = Time(4 * 86_400_000 + 12 * 3_600_000);

pub(super) fn policy(whose: &Whose, command: Policy) -> Result<ExitCode> {
    if matches!(command, Policy::Check) {
        return super::check::check(whose);
    }
    let rules = rules(whose)?;
    match command {
        Policy::Show | Policy::Check => show(whose, &rules),
        Policy::Explain { agent, tool, args } => explain(whose, &rules, &agent, &tool, &args),
        Policy::Test { files } => test(whose, &rules, files),
    }
}

fn rules(whose: &Whose) -> Result<Arc<Rules>> {
    let (rules, _, _) = config::load(&whose.config).and_then(compose::compile)?;
    Ok(rules)
}

fn show(whose: &Whose, rules: &Rules) -> Result<ExitCode> {
    let cedar = rules.policy.cedar();
    if whose.json {
        out::json(&json!({ "digest": rules.digest, "rules": rules.policy.rule_count(), "cedar": cedar }))?;
    } else {
        out::line(cedar.trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

fn arguments(text: &str) -> Result<Value> {
    stdx::json::parse(text.as_bytes()).context("--args is not strict JSON")
}

fn word(decision: &Decision) -> &'static str {
    match decision {
        Decision::Allow => "allow",
        Decision::Ask => "ask",
        Decision::Deny => "deny",
    }
}

fn explain(whose: &Whose, rules: &Rules, agent: &str, tool: &str, args: &str) -> Result<ExitCode> {
    known(rules, agent, tool)?;
    let answer = explain_policy(rules, agent, tool, &arguments(args)?, ASKED_AT);
    if whose.json {
        let error = |(rule, error): &(Arc<RuleRef>, String)| json!({ "rule": rule, "error": error });
        let errors: Vec<Value> = answer.errors.iter().map(error).collect();
        out::json(&json!({
            "decision": word(&answer.decision), "rules": answer.rules, "near": answer.near, "ask": answer.ask,
            "errors": errors,
        }))?;
    } else {
        told(&answer);
    }
    Ok(ExitCode::SUCCESS)
}

fn known(rules: &Rules, agent: &str, tool: &str) -> Result<()> {
    let meant = |name: Option<&str>| name.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
    if rules.agent(agent).is_none() {
        let near = stdx::nearest::nearest(agent, rules.book.agents.keys().map(String::as_str));
        bail!("no manifest names the agent `{agent}`{}", meant(near));
    }
    if rules.tool(tool).is_none() {
        let near = stdx::nearest::nearest(tool, rules.book.tools.keys().map(String::as_str));
        bail!("no contract declares the tool `{tool}`{}", meant(near));
    }
    Ok(())
}

fn told(answer: &Answer) {
    let cite = |rule: &RuleRef| format!("{} ({}:{}): {}", rule.id, rule.file, rule.line, rule.words);
    out::line(word(&answer.decision));
    for rule in &answer.rules {
        out::line(format!("  {} {}", if rule.forbids { "forbidden by" } else { "allowed by" }, cite(rule)));
    }
    if !answer.ask.is_empty() {
        out::line(format!("  needs a yes from {}", answer.ask.join(" and ")));
    }
    for rule in &answer.near {
        out::line(format!("  would be allowed by {}", cite(rule)));
    }
    for (rule, error) in &answer.errors {
        out::line(format!("  could not be evaluated, so it denies: {}: {error}", cite(rule)));
    }
}

pub(super) fn who_can(whose: &Whose, target: String, args: Option<&str>) -> Result<ExitCode> {
    let rules = rules(whose)?;
    let args = args.map(arguments).transpose()?;
    let found = rules.policy.who_can(&Question { target: target.clone(), args });
    if whose.json {
        let rows = found.iter().map(|row| {
            json!({
                "agent": row.agent, "tool": row.tool, "rule": row.rule, "only_if": row.only_if,
                "needs_approval": row.needs_approval, "by_free_permit": row.by_free_permit,
            })
        });
        out::json(&rows.collect::<Vec<_>>())?;
    } else if found.is_empty() {
        out::talk(format!("nobody can: no rule lets any agent do `{target}`"));
    } else {
        let rows = found.into_iter().map(|row| {
            let asks = row.needs_approval.map(|group| format!("{group} says yes"));
            let only_if: Vec<String> = row.only_if.into_iter().chain(asks).collect();
            let by = format!("{}{}", row.rule.id, if row.by_free_permit { " (free permit)" } else { "" });
            vec![row.agent, row.tool, by, only_if.join("; ")]
        });
        out::table(&["agent", "tool", "by", "only if"], rows.collect());
    }
    Ok(ExitCode::SUCCESS)
}

// ---- Tests ---------------------------------------------------------------------------------------------------

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TestFile {
    tests: Vec<TestCase>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TestCase {
    name: String,
    agent: String,
    tool: String,
    #[serde(default)]
    args: serde_json::Map<String, Value>,
    expect: Expected,
    /// The rule that must be among those that decided.
    rule: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Expected {
    Allow,
    Ask,
    Deny,
}

/// How one test went.
#[derive(Debug, Serialize)]
struct Ran {
    file: String,
    name: String,
    passed: bool,
    why: Option<String>,
}

impl TestFile {
    fn read(text: &str) -> Result<TestFile, serde_saphyr::Error> {
        serde_saphyr::from_str(text)
    }
}

/// How many tests a test file holds, if it is one.
pub fn read_policy_tests(text: &str) -> Result<usize, String> {
    TestFile::read(text).map(|file| file.tests.len()).map_err(|error| error.to_string())
}

fn test(whose: &Whose, rules: &Rules, files: Vec<PathBuf>) -> Result<ExitCode> {
    let files = if files.is_empty() { beside(&whose.config)? } else { files };
    let mut ran = Vec::new();
    for file in &files {
        let shown = file.display().to_string();
        let text = std::fs::read_to_string(file).with_context(|| format!("`{shown}` cannot be read"))?;
        let tests = TestFile::read(&text).with_context(|| format!("in `{shown}`"))?;
        for case in tests.tests {
            let why = wrong(rules, &case);
            ran.push(Ran { file: shown.clone(), name: case.name, passed: why.is_none(), why });
        }
    }
    if ran.is_empty() {
        bail!("no test was run: write `policies/*.test.yaml`, or name a file");
    }
    let failed = ran.iter().filter(|test| !test.passed).count();
    let passed = ran.len() - failed;
    if whose.json {
        out::json(&json!({ "passed": passed, "failed": failed, "tests": ran }))?;
    } else {
        for test in &ran {
            if let Some(why) = &test.why {
                out::line(format!("FAILED {}: {}: {why}", test.file, test.name));
            }
        }
        out::line(format!("{passed} passed, {failed} failed"));
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn wrong(rules: &Rules, case: &TestCase) -> Option<String> {
    if let Err(error) = known(rules, &case.agent, &case.tool) {
        return Some(error.to_string());
    }
    let args = Value::Object(case.args.clone());
    let answer = explain_policy(rules, &case.agent, &case.tool, &args, ASKED_AT);
    let expected = match case.expect {
        Expected::Allow => Decision::Allow,
        Expected::Ask => Decision::Ask,
        Expected::Deny => Decision::Deny,
    };
    let deciding: Vec<&str> = answer.rules.iter().map(|rule| rule.id.as_str()).collect();
    if word(&answer.decision) != word(&expected) {
        return Some(format!(
            "expected {}, got {} by [{}]",
            word(&expected),
            word(&answer.decision),
            deciding.join(", ")
        ));
    }
    let rule = case.rule.as_deref().filter(|rule| !deciding.contains(rule))?;
    Some(format!("decided by [{}], not by `{rule}`", deciding.join(", ")))
}

fn beside(config_file: &Path) -> Result<Vec<PathBuf>> {
    let folder = config_file.parent().unwrap_or(Path::new("")).join("policies");
    let mut found = Vec::new();
    for entry in
        std::fs::read_dir(&folder).with_context(|| format!("`{}` cannot be read", folder.display()))?
    {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(".test.yaml") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
