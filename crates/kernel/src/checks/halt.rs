//! Halt: nothing in the scope of a halt is permitted.

use super::{Case, Findings};
use crate::reason::{Code, Reason};

pub(super) fn check(case: &Case<'_>, _: &mut Findings) -> Result<(), Box<Reason>> {
    let writes = case.tool.is_none_or(|tool| tool.contract.effect.writes());
    match case.control.halts.iter().find(|(scope, _)| scope.covers(case.call, writes)) {
        Some((scope, halt)) => {
            let detail = format!("{scope}, since {} by {}: {}", halt.since, halt.by, halt.why);
            Err(Box::new(Reason::new(Code::Halted).detail(detail)))
        }
        None => Ok(()),
    }
}
