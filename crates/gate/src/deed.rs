//! Deeds: what a call touches, what it tells, and how it is taken back, each as its contract says.

use kernel::before;
use kernel::call::{Call, Outcome, Part};
use kernel::contract::Contract;
use kernel::id::{Mark, RunId};
use kernel::template::{self, Values};
use kernel::undo::UndoKept;
use ledger::Payload;
use serde_json::Value;
use stdx::json::canonical;

use crate::desk::Law;
use crate::gate::Gate;
use crate::port::Reached;
use crate::redact::inside;
use crate::seal;

/// What is kept of a call that came to its end.
#[derive(Default)]
pub(crate) struct Left {
    pub(crate) undo: Option<UndoKept>,
    /// The undo's arguments.
    pub(crate) payload: Option<Payload>,
    pub(crate) facts: Vec<Mark>,
}

/// A deed as what belongs to it is filled in from it.
#[derive(Clone, Copy)]
pub(crate) struct Deed<'a> {
    pub(crate) run: RunId,
    pub(crate) contract: &'a Contract,
    pub(crate) args: &'a Value,
    /// As its tool answered: inside of any envelope.
    pub(crate) result: Option<&'a Value>,
    pub(crate) before: Option<&'a Value>,
}

impl Gate {
    /// What a call touches, and what rules want of it that name a read before it.
    pub(crate) fn about(
        &self,
        law: &Law,
        run: RunId,
        agent: &str,
        tool: &str,
        args: &Value,
    ) -> (Vec<Mark>, Vec<Option<Mark>>) {
        let Some(known) = law.rules.tool(tool) else { return Default::default() };
        let wants = before::wants(&law.rules, agent, tool, args);
        let facts = wants.into_iter().map(|want| want.map(|bytes| self.fact_mark(run, &bytes)));
        (self.touched(&known.contract, args), facts.collect())
    }

    /// What cannot be filled in yet is claimed by nobody.
    pub(crate) fn touched(&self, contract: &Contract, args: &Value) -> Vec<Mark> {
        let values = Values { args: Some(args), ..Values::default() };
        let names = contract.deed.touches.iter().filter_map(|name| template::text(name, &values).ok());
        let mut marks = self.house_marks("touch", &names.collect::<Vec<String>>());
        marks.sort_unstable();
        marks.dedup();
        marks
    }

    fn fact_mark(&self, run: RunId, bytes: &[u8]) -> Mark {
        self.0.seal.mark(run, "fact", bytes)
    }

    /// At the end of a call: how it is taken back, if it is a step, and what it told, if somebody may ask.
    pub(crate) fn left_by(&self, law: &Law, call: &Call, reached: &Reached, before: Option<&Value>) -> Left {
        let Some(tool) = law.rules.tool(&call.tool) else { return Left::default() };
        if reached.outcome != Outcome::Succeeded {
            return Left::default();
        }
        let is_step = matches!(call.part, Some(Part::Step { .. })) && tool.contract.takes_back();
        let is_read = before::is_told(&law.rules, &call.agent, &call.tool) && !tool.contract.effect.writes();
        if !is_step && !is_read {
            return Left::default();
        }
        let said = reached.said.clone();
        let result = said.or_else(|| serde_json::from_slice(&reached.body).ok()).unwrap_or_default();
        let result = inside(&tool.contract, result);
        let mut left = Left::default();
        if is_read {
            let tells = before::tells(&law.rules, &call.agent, &call.tool, &call.args, &result);
            left.facts = tells.iter().map(|bytes| self.fact_mark(call.run, bytes)).collect();
        }
        if is_step {
            let contract = &tool.contract;
            let deed = Deed { run: call.run, contract, args: &call.args, result: Some(&result), before };
            (left.undo, left.payload) = self.kept_undo(law, &deed).unzip();
        }
        left
    }

    /// How a deed is taken back; none where its contract names nothing, or something that is not there.
    pub(crate) fn kept_undo(&self, law: &Law, deed: &Deed<'_>) -> Option<(UndoKept, Payload)> {
        let undo = deed.contract.deed.undo.as_ref()?;
        let (tool, arguments) = undo.call();
        let known = law.rules.tool(tool)?;
        let Deed { run, args, result, before, .. } = *deed;
        let values = Values { args: Some(args), result, deed: None, before };
        let bytes = canonical(&template::fill(arguments, &values).ok()?);
        let mark = self.args_mark(run, tool, &bytes);
        let payload = Payload::new("undo", seal::random(), bytes, false);
        let kept = UndoKept {
            args: payload.commitment,
            contract: known.digest,
            mark,
            tool: tool.to_owned(),
            until: undo.within_ms().map(|within| self.0.clock.now().plus_ms(within)),
        };
        Some((kept, payload))
    }
}
