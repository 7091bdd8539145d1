//! Halt: nothing in the scope of a halt is permitted.

use super::{Case, Findings};
use crate::held::Target;
use crate::reason::{Code, Reason};

/// What takes back waits so long for a halt that is not of its own tool, and asks again.
const AGAIN_MS: u64 = 5_000;

pub(super) fn check(case: &Case<'_>, _: &mut Findings) -> Result<(), Box<Reason>> {
    if case.control.halts.is_empty() {
        return Ok(());
    }
    let call = case.call;
    let target = Target::new(case.rules, &call.agent, &call.tool, case.state.chain(call.run));
    let back = case.goes_back();
    let halted = match back {
        true => case.control.halted_undo(&target, case.now),
        false => case.control.halted(&target, case.now),
    };
    let Some((scope, halt)) = halted else { return Ok(()) };
    let reason = Reason::new(Code::Halted).detail(halt.says(scope));
    let waits = back && !scope.is_of_tools();
    Err(Box::new(if waits { reason.retry_after_ms(AGAIN_MS) } else { reason }))
}
