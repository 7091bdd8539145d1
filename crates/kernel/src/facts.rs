//! Facts: what a policy may see of a call and its run. The only bridge from the nouns to `policy`.

use policy::Facts;

use crate::checks::Case;

/// `approvals` are the groups whose quorum approved exactly this call.
pub(crate) fn facts<'a>(
    case: &'a Case<'_>,
    destinations: &'a [String],
    approvals: &'a [String],
) -> Facts<'a> {
    let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let run = case.run;
    let limits = case.manifest.map(|manifest| case.rules.run_limits(manifest)).unwrap_or_default();
    Facts {
        agent: &case.call.agent,
        tool: &case.call.tool,
        args: &case.call.args,
        phase: case.phase(),
        run_age_seconds: run.map_or(0, |run| signed(case.now.since_ms(run.opened) / 1_000)),
        run_calls: run.map_or(0, |run| signed(run.account.posted.plus(&run.account.pending).calls)),
        spent_percent: run.map_or(0, |run| signed(run.account.spent_percent(&limits))),
        labels: &[],
        subject: run.and_then(|run| run.vouched.as_deref().or(run.person.as_deref())).unwrap_or(""),
        depth: 0,
        approvals,
        destinations,
        hour: case.now.hour(),
        weekday: case.now.weekday(),
    }
}
