//! Halt: nothing in the scope of a halt is permitted.

use super::{Case, Findings};
use crate::held::Target;
use crate::reason::{Code, Reason};

pub(super) fn check(case: &Case<'_>, _: &mut Findings) -> Result<(), Box<Reason>> {
    if case.control.halts.is_empty() {
        return Ok(());
    }
    let call = case.call;
    let target = Target::new(case.rules, &call.agent, &call.tool, case.state.chain(call.run));
    match case.control.halted(&target, case.now) {
        Some((scope, halt)) => Err(Box::new(Reason::new(Code::Halted).detail(halt.says(scope)))),
        None => Ok(()),
    }
}
