//! The checked set of rules.

use crate::{Answer, Decision, Facts, FreeRules, May, Options, Problem, Question, WhoCan, World};

#[derive(Debug)]
pub struct RuleSet {
    warnings: Vec<Problem>,
}

/// Check all rules against the world; `Err` if any problem is an error.
pub fn compile(_: &World, _: &[May], _: &[FreeRules], _: &Options) -> Result<RuleSet, Vec<Problem>> {
    Ok(RuleSet { warnings: Vec::new() })
}

impl RuleSet {
    pub fn decide(&self, facts: &Facts<'_>) -> Answer {
        self.decide_whole(facts)
    }
    pub fn decide_whole(&self, _: &Facts<'_>) -> Answer {
        Answer { decision: Decision::Deny, rules: vec![], near: vec![], errors: vec![], ask: vec![] }
    }
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }
    pub fn cedar(&self) -> String {
        String::new()
    }
    pub fn schema(&self) -> String {
        String::new()
    }
    pub fn rule_count(&self) -> usize {
        0
    }
    pub fn in_scope(&self, _agent: &str, _tool: &str) -> usize {
        0
    }
    pub fn can_ever(&self, _agent: &str, _tool: &str) -> bool {
        false
    }
    pub fn who_can(&self, _: &Question) -> Vec<WhoCan> {
        Vec::new()
    }
}
