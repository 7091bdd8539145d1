//! Recomputing: the verdict on a call follows from the log before it, and from nothing else.

use std::sync::Arc;

use kernel::approval::AskMarks;
use kernel::call::Call;
use kernel::command::{Answer, Command};
use kernel::decide::{Decision, decide};
use kernel::event::{CallDecided, Event, Stamp};
use kernel::obligation::Bound;
use kernel::reason::Code;
use kernel::rules::Rules;
use kernel::verdict::Ruling;

use super::{Audit, lane};
use crate::world::field_marks;

/// How a call is put to the law.
type Asking = fn(Arc<Call>) -> Command;

impl Audit {
    /// The same decision again, by the same command: of what people were asked about, the second one is a release.
    pub(super) fn recompute(
        &self,
        stamp: &Stamp,
        decided: &CallDecided,
        rules: &Rules,
        args: &[u8],
    ) -> Result<(), String> {
        // That people said no, or nothing in time, is no verdict on the call: `asked` holds it against their answers.
        let of_people = [Code::ApprovalDenied, Code::ApprovalExpired, Code::ApprovalCancelled];
        if decided.ends_ask
            && decided.ruling == Ruling::Deny
            && decided.reasons.iter().any(|reason| of_people.contains(&reason.code))
        {
            return Ok(());
        }
        let again = self.decided_again(stamp, decided, rules, args)?;
        match again.events.as_slice() {
            // A decision may cross thresholds: those events follow it.
            [Event::CallDecided(same), ..] if **same == *decided => Ok(()),
            other => Err(format!("{} recomputes to {other:?}, and was {decided:?}", decided.call)),
        }
    }

    fn decided_again(
        &self,
        stamp: &Stamp,
        decided: &CallDecided,
        rules: &Rules,
        args: &[u8],
    ) -> Result<Decision, String> {
        let mut call = call(decided, args)?;
        let empty = lane();
        let state = self.lanes.get(&stamp.lane).unwrap_or(&empty);
        let control = self.controls.get(&decided.control_seq).unwrap_or(&self.control);
        let by = |command: Asking, call: &Call| {
            decide(state, control, rules, &command(Arc::new(call.clone())), stamp.at)
        };
        let (first, last): (Asking, Asking) = match decided.ends_ask {
            true => (Command::Release, Command::ReleaseLast),
            false => (Command::Propose, Command::ProposeLast),
        };
        let mut again = by(first, &call);
        if let Answer::Marks(fields) = &again.answer {
            let places = decided.asked.as_ref().map(|asked| asked.places.clone()).unwrap_or_default();
            call.ask_marks = Some(AskMarks { places, fields: field_marks(fields, &call.args) });
            again = by(first, &call);
        }
        if matches!(again.answer, Answer::Short(_)) {
            again = by(last, &call);
        }
        Ok(again)
    }
}

fn call(decided: &CallDecided, args: &[u8]) -> Result<Call, String> {
    Ok(Call {
        part: None,
        touches: Vec::new(),
        facts: Vec::new(),
        id: decided.call,
        run: decided.run,
        agent: decided.agent.clone(),
        tool: decided.tool.clone(),
        args: serde_json::from_slice(args).map_err(|error| error.to_string())?,
        args_commitment: decided.args,
        args_mark: decided.mark,
        key_mark: decided.key,
        bound: Bound { by: decided.obliged.clone(), heeds: Vec::new(), level: decided.level.clone() },
        reasoning: decided.reasoning,
        model: decided.model.clone(),
        context_tokens: decided.context_tokens,
        carrier: decided.carrier,
        destinations: decided.destinations.clone(),
        hosts: decided.hosts.clone(),
        credential: None,
        ask_marks: None,
    })
}
