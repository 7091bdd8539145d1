//! The checked set of rules, indexed by whom and what each is about.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, RwLock};

use cedar_policy::PolicySet;

use crate::catalog::Catalog;
use crate::decide::Slice;
use crate::reads::Reads;
use crate::rule::{Rule, Source};
use crate::{Answer, Facts, Problem, Question, WhoCan, decide, who};

/// Slices kept; a slice is rebuilt in microseconds, so a full store is simply emptied.
const SLICES_MAX: usize = 4096;

#[derive(Debug)]
pub struct RuleSet {
    pub(crate) catalog: Catalog,
    pub(crate) rules: Vec<Rule>,
    /// For each agent, the rules whose principal covers it, ascending.
    pub(crate) by_agent: Vec<Vec<u32>>,
    /// For each tool, the rules whose action and resource cover it, ascending.
    pub(crate) by_tool: Vec<Vec<u32>>,
    pub(crate) whole: Arc<PolicySet>,
    pub(crate) whole_reads: Reads,
    slices: RwLock<HashMap<(usize, usize), Arc<Slice>>>,
    warnings: Vec<Problem>,
    schema: String,
}

impl RuleSet {
    pub(crate) fn new(catalog: Catalog, rules: Vec<Rule>, schema: String) -> Self {
        let numbers = |covers: &dyn Fn(&Rule) -> bool| -> Vec<u32> {
            (0u32..).zip(&rules).filter(|(_, rule)| covers(rule)).map(|(number, _)| number).collect()
        };
        let by_agent =
            catalog.agents.iter().map(|agent| numbers(&|rule| rule.scope.covers_agent(agent))).collect();
        let by_tool =
            catalog.tools.iter().map(|tool| numbers(&|rule| rule.scope.covers_tool(tool))).collect();
        let mut whole_reads = Reads { whole: true, ..Reads::default() };
        rules.iter().for_each(|rule| whole_reads.merge(&rule.reads));
        // Ids are numbers in order, so no two are the same and the set cannot be refused.
        let whole =
            PolicySet::from_policies(rules.iter().map(|rule| rule.policy.clone())).unwrap_or_default();
        Self {
            catalog,
            rules,
            by_agent,
            by_tool,
            whole: Arc::new(whole),
            whole_reads,
            slices: RwLock::default(),
            warnings: Vec::new(),
            schema,
        }
    }

    pub(crate) fn with_warnings(mut self, warnings: Vec<Problem>) -> Self {
        self.warnings = warnings;
        self
    }

    /// The answer to one request, from the rules in scope alone.
    pub fn decide(&self, facts: &Facts<'_>) -> Answer {
        match self.pair(facts.agent, facts.tool).and_then(|pair| self.slice(pair)) {
            Some(slice) => decide::answer(self, &slice, facts),
            None => Answer::nobody(),
        }
    }

    /// What forbids taking a deed back, and how that erred if it did: of all rules only those that say of themselves
    /// that they bind it.
    pub fn forbids_undo(&self, facts: &Facts<'_>) -> Option<(Arc<crate::RuleRef>, Option<String>)> {
        decide::forbids_undo(self, self.pair(facts.agent, facts.tool)?, facts)
    }

    /// The same answer from all rules with their scopes: the oracle that slices are tested against.
    pub fn decide_whole(&self, facts: &Facts<'_>) -> Answer {
        match self.pair(facts.agent, facts.tool).and_then(|pair| Slice::whole(self, pair)) {
            Some(slice) => decide::answer(self, &slice, facts),
            None => Answer::nobody(),
        }
    }

    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// All rules as Cedar text, each with the place it came from.
    pub fn cedar(&self) -> String {
        let mut out = String::new();
        let mut file = "";
        for rule in &self.rules {
            let about = &rule.about;
            let (place, line) = (about.file.replace(['\n', '\r'], " "), about.line);
            // Writing to a String cannot fail.
            let _ = match &rule.source {
                Source::House { text } => writeln!(out, "// built in\n{text}"),
                Source::Manifest { text, .. } => writeln!(out, "// {place}:{line}\n{text}"),
                Source::Free { .. } if about.file == file => Ok(()),
                Source::Free { text, .. } => {
                    file = &about.file;
                    writeln!(out, "// {place}\n{}\n", text.trim_end())
                }
            };
        }
        out
    }

    /// Cedar's schema of the world, which rules are checked against.
    pub fn schema(&self) -> String {
        self.schema.clone()
    }

    pub fn rule_count(&self) -> usize {
        self.rules.len()
    }

    /// How many rules a decision about this agent and tool looks at.
    pub fn in_scope(&self, agent: &str, tool: &str) -> usize {
        self.pair(agent, tool).map_or(0, |pair| self.scope(pair).len())
    }

    /// Is there a permit in scope, and no unconditional forbid?
    pub fn can_ever(&self, agent: &str, tool: &str) -> bool {
        let Some(slice) = self.pair(agent, tool).and_then(|pair| self.slice(pair)) else { return false };
        let mut permitted = false;
        for rule in slice.numbers.iter().filter_map(|number| self.rule(*number)) {
            if rule.about.forbids && rule.is_unconditional() {
                return false;
            }
            permitted |= !rule.about.forbids;
        }
        permitted && slice.fixed_forbids.is_empty()
    }

    /// Whether a decision about this agent and tool may hang on one of these arguments; `destinations`: or on where
    /// they go.
    pub fn reads_args(&self, agent: &str, tool: &str, names: &[&str], destinations: bool) -> bool {
        let Some(slice) = self.pair(agent, tool).and_then(|pair| self.slice(pair)) else { return false };
        let reads = &slice.reads;
        let places = ["destinations", "destinations_within"];
        reads.whole
            || (reads.all_args && !names.is_empty())
            || names.iter().any(|name| reads.args.contains(*name) || reads.tested.contains(*name))
            || (destinations && places.iter().any(|key| reads.keys.contains(*key)))
    }

    /// Every permit through which some agent can do a thing.
    pub fn who_can(&self, question: &Question) -> Vec<WhoCan> {
        who::who_can(self, question)
    }

    // ---- Inside --------------------------------------------------------------------------------------------------

    pub(crate) fn rule(&self, number: u32) -> Option<&Rule> {
        self.rules.get(usize::try_from(number).ok()?)
    }

    pub(crate) fn pair(&self, agent: &str, tool: &str) -> Option<(usize, usize)> {
        Some((*self.catalog.agent_by_name.get(agent)?, *self.catalog.tool_by_name.get(tool)?))
    }

    /// The rules whose scope holds for this agent and tool, ascending.
    pub(crate) fn scope(&self, (agent, tool): (usize, usize)) -> Vec<u32> {
        let (Some(a), Some(b)) = (self.by_agent.get(agent), self.by_tool.get(tool)) else {
            return Vec::new();
        };
        let mut b = b.iter().peekable();
        a.iter()
            .copied()
            .filter(|number| {
                while b.next_if(|other| *other < number).is_some() {}
                b.next_if(|other| *other == number).is_some()
            })
            .collect()
    }

    fn slice(&self, pair: (usize, usize)) -> Option<Arc<Slice>> {
        // A lock is poisoned only if a thread died in it; what it guards is a store of copies, whole at any time.
        let kept = self.slices.read().unwrap_or_else(std::sync::PoisonError::into_inner).get(&pair).cloned();
        if kept.is_some() {
            return kept;
        }
        let slice = Arc::new(Slice::new(self, pair)?);
        let mut slices = self.slices.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if slices.len() >= SLICES_MAX {
            slices.clear();
        }
        slices.insert(pair, slice.clone());
        Some(slice)
    }
}
