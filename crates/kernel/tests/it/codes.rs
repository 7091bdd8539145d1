//! Every code of a refusal is met by some script, so that none is untested and none is dead.

use kernel::reason::Code;

use crate::script::{CODES, ONLY_CODES};
use crate::{
    scripts_accounts, scripts_approval, scripts_budget, scripts_degrade, scripts_ends, scripts_gateway,
    scripts_groups, scripts_halt, scripts_limits, scripts_meter, scripts_plan_limits, scripts_plans,
    scripts_policy, scripts_proposals,
};

#[test]
fn every_code_occurs_in_some_script() {
    ONLY_CODES.set(true);
    let scripts = [
        scripts_policy::ALL,
        scripts_accounts::ALL,
        scripts_approval::ALL,
        scripts_budget::ALL,
        scripts_degrade::ALL,
        scripts_ends::ALL,
        scripts_halt::ALL,
        scripts_limits::ALL,
        scripts_gateway::ALL,
        scripts_groups::ALL,
        scripts_meter::ALL,
        scripts_plan_limits::ALL,
        scripts_plans::ALL,
        scripts_proposals::ALL,
    ];
    scripts.into_iter().flatten().for_each(|script| script());
    let seen = CODES.take();
    // What was given once is read for ever.
    let given = Code::ALL.iter().filter(|code| **code != Code::RunRequired);
    let missing: Vec<&str> = given.map(|code| code.name()).filter(|code| !seen.contains(*code)).collect();
    assert!(missing.is_empty(), "no script meets {missing:?}");
}
