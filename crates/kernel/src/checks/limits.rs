//! Limits: how often a tool may be called in one run. The strictest line of the manifest that names the tool holds.

use stdx::glob;

use super::{Case, Findings};
use crate::reason::{Code, Reason};

pub(super) fn check(case: &Case<'_>, _: &mut Findings) -> Result<(), Box<Reason>> {
    let (Some(manifest), Some(run)) = (case.manifest, case.run) else { return Ok(()) };
    let tool = &case.call.tool;
    let lines = manifest.may.iter().filter(|may| glob::matches(&may.tool, tool));
    let Some(limit) = lines.filter_map(|may| may.calls_per_run_max).min() else { return Ok(()) };
    if run.by_tool.get(tool).copied().unwrap_or(0) >= limit {
        return Err(Box::new(Reason::new(Code::LimitReached).detail(tool).limit(limit)));
    }
    Ok(())
}
