//! Scripts: contract, phase, policy, approval, and the modes that soften them.

use expect_test::expect;
use kernel::agent::{May, Mode};

use crate::book::{book, desk, manifest, may, when, with_rule};
use crate::script::check;

pub(crate) const ALL: &[fn()] = &[
    a_call_that_a_rule_allows,
    a_contract_that_does_not_fit,
    default_deny_says_what_was_near,
    a_forbid_wins_and_an_error_denies,
    asking_needs_approvals,
    propose_mode_turns_writes_into_questions_for_people,
    observe_lets_go_but_not_everything,
    an_agent_in_phases_only_reads,
    a_question_needs_no_run,
];

#[test]
fn a_call_that_a_rule_allows() {
    let table = "
        at | do     | run | tool       | args        | call
        0s | open   | a   |            |             |
        1s | call   | a   | crm.lookup | {\"id\":\"7\"} |
        2s | settle | a   |            | succeeded   | c1
        3s | settle | a   |            | succeeded   | c1
    ";
    check(
        book(vec![desk()]),
        table,
        expect![[r#"
        at | do     | run | tool       | args       | call | answer                | code         | account   | event
        0s | open   | a   |            |            |      | a open until 13:00:00 |              |           | run_opened
        1s | call   | a   | crm.lookup | {"id":"7"} |      | allow                 | by desk.may  | calls 0+1 | call_decided c1 allow
        2s | settle | a   |            | succeeded  | c1   | done                  |              | calls 1+0 | call_finished c1 succeeded by gate
        3s | settle | a   |            | succeeded  | c1   | refused               | call_unknown | calls 1+0 |
        "#]],
    );
}

#[test]
fn a_contract_that_does_not_fit() {
    let table = r#"
        at | do   | run | tool       | args
        0s | open | a   |            |
        1s | call | a   | crm.lookup | {"id":7}
        1s | call | a   | crm.lookup | {}
        1s | call | a   | crm.lookup | {"id":"7","colour":"red"}
        1s | call | a   | crm.erase  | {}
        1s | call | a   | mail.send  | {"to":"a@x.example, b@y.example"}
        1s | call | a   | mail.send  | {"to":"a@x.example"}
    "#;
    check(
        book(vec![desk()]),
        table,
        expect![[r#"
        at | do   | run | tool       | args                              | answer                | code                                                                                    | account                        | event
        0s | open | a   |            |                                   | a open until 13:00:00 |                                                                                         |                                | run_opened
        1s | call | a   | crm.lookup | {"id":7}                          | deny                  | schema_mismatch at /id (the value is not of type "string")                              |                                | call_decided c1 deny
        1s | call | a   | crm.lookup | {}                                | deny                  | schema_mismatch at  ("id" is a required property)                                       |                                | call_decided c2 deny
        1s | call | a   | crm.lookup | {"id":"7","colour":"red"}         | deny                  | schema_mismatch at  (there is a property that the schema does not allow; it allows: id) |                                | call_decided c3 deny
        1s | call | a   | crm.erase  | {}                                | deny                  | tool_unknown (crm.erase)                                                                |                                | call_decided c4 deny
        1s | call | a   | mail.send  | {"to":"a@x.example, b@y.example"} | deny                  | destination_invalid at /to (one e-mail address)                                         |                                | call_decided c5 deny
        1s | call | a   | mail.send  | {"to":"a@x.example"}              | allow                 | by desk.may                                                                             | calls 0+1 writes 0+1 final 0+1 | call_decided c6 allow
        "#]],
    );
}

#[test]
fn default_deny_says_what_was_near() {
    let clerk = manifest(
        "clerk",
        vec![may("clerk.may[0]", "crm.lookup"), when("clerk.may[1]", "pay.refund", "args.cents <= 5000")],
    );
    let table = r#"
        at | do   | run | agent | tool       | args
        0s | open | a   | clerk |            |
        1s | call | a   | clerk | pay.refund | {"cents":5000}
        1s | call | a   | clerk | pay.refund | {"cents":5001}
        1s | call | a   | clerk | crm.note   | {}
        1s | call | a   | ghost | crm.note   | {}
    "#;
    check(
        book(vec![clerk]),
        table,
        expect![[r#"
        at | do   | run | agent | tool       | args           | answer                | code                                                 | account                                 | event
        0s | open | a   | clerk |            |                | a open until 13:00:00 |                                                      |                                         | run_opened
        1s | call | a   | clerk | pay.refund | {"cents":5000} | allow                 | by clerk.may[1]                                      | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c1 allow
        1s | call | a   | clerk | pay.refund | {"cents":5001} | deny                  | no_rule_allows near clerk.may[1]: args.cents <= 5000 | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c2 deny
        1s | call | a   | clerk | crm.note   | {}             | deny                  | no_rule_allows                                       | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c3 deny
        1s | call | a   | ghost | crm.note   | {}             | deny                  | agent_unknown (ghost)                                | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c4 deny
        "#]],
    );
}

#[test]
fn a_forbid_wins_and_an_error_denies() {
    let text = r#"
        @id("no_refund_over_100") @reason("refunds over 100 are for people")
        forbid (principal, action == Remit::Action::"pay.refund", resource) when { context.args.cents > 10000 };
        @id("overflows") @reason("a rule with a mistake")
        forbid (principal, action == Remit::Action::"pay.refund", resource)
        when { context.args.cents * 9223372036854775807 < 0 };
    "#;
    let table = r#"
        at | do   | run | tool       | args
        0s | open | a   |            |
        1s | call | a   | pay.refund | {"cents":1}
        1s | call | a   | pay.refund | {"cents":5}
    "#;
    check(
        with_rule(book(vec![desk()]), text),
        table,
        expect![[r#"
        at | do   | run | tool       | args        | answer                | code                                                                                         | account                                 | event
        0s | open | a   |            |             | a open until 13:00:00 |                                                                                              |                                         | run_opened
        1s | call | a   | pay.refund | {"cents":1} | allow                 | by desk.may                                                                                  | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c1 allow
        1s | call | a   | pay.refund | {"cents":5} | deny                  | rule_erred (integer overflow while attempting to multiply the values … and …) rule overflows | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c2 deny
        "#]],
    );
    let text = text.split("@id(\"overflows\")").next().unwrap();
    let table = r#"
        at | do   | run | tool       | args
        0s | open | a   |            |
        1s | call | a   | pay.refund | {"cents":10000}
        1s | call | a   | pay.refund | {"cents":10001}
    "#;
    check(
        with_rule(book(vec![desk()]), text),
        table,
        expect![[r#"
        at | do   | run | tool       | args            | answer                | code                                 | account                                 | event
        0s | open | a   |            |                 | a open until 13:00:00 |                                      |                                         | run_opened
        1s | call | a   | pay.refund | {"cents":10000} | allow                 | by desk.may                          | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c1 allow
        1s | call | a   | pay.refund | {"cents":10001} | deny                  | rule_forbids rule no_refund_over_100 | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c2 deny
        "#]],
    );
}

#[test]
fn asking_needs_approvals() {
    let ask = May { ask: Some("leads".into()), ..may("desk.may[1]", "pay.refund") };
    let small = when("desk.may[0]", "pay.refund", "args.cents <= 100");
    let table = r#"
        at | do   | run | tool       | args
        0s | open | a   |            |
        1s | call | a   | pay.refund | {"cents":100}
        1s | call | a   | pay.refund | {"cents":101}
    "#;
    check(
        book(vec![manifest("desk", vec![small, ask])]),
        table,
        expect![[r#"
        at | do   | run | tool       | args          | answer                | code                                                               | account                                 | event
        0s | open | a   |            |               | a open until 13:00:00 |                                                                    |                                         | run_opened
        1s | call | a   | pay.refund | {"cents":100} | allow                 | by desk.may[0]                                                     | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c1 allow
        1s | call | a   | pay.refund | {"cents":101} | deny                  | approval_unavailable ask leads near desk.may[1]: approved by leads | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c2 deny
        "#]],
    );
}

#[test]
fn propose_mode_turns_writes_into_questions_for_people() {
    let mut agent = desk();
    agent.mode = Mode::Propose;
    let table = r#"
        at | do   | run | agent | tool       | args
        0s | open | a   | desk  |            |
        1s | call | a   | desk  | crm.lookup | {"id":"7"}
        1s | call | a   | desk  | crm.note   | {}
        2s | open | b   | line  |            |
        2s | call | b   | line  | crm.note   | {}
        2s | call | b   | line  | pay.refund | {"cents":1}
    "#;
    let line = May { mode: Some(Mode::Propose), ..may("line.may[1]", "crm.note") };
    let line = manifest("line", vec![may("line.may[0]", "*"), line]);
    check(
        book(vec![agent, line]),
        table,
        expect![[r#"
        at | do   | run | agent | tool       | args        | answer                | code                                         | account                                 | event
        0s | open | a   | desk  |            |             | a open until 13:00:00 |                                              |                                         | run_opened
        1s | call | a   | desk  | crm.lookup | {"id":"7"}  | allow                 | by desk.may                                  | calls 0+1                               | call_decided c1 allow
        1s | call | a   | desk  | crm.note   | {}          | deny                  | approval_unavailable ask owner:support-leads | calls 0+1                               | call_decided c2 deny
        2s | open | b   | line  |            |             | b open until 13:00:02 |                                              |                                         | run_opened
        2s | call | b   | line  | crm.note   | {}          | deny                  | approval_unavailable ask owner:support-leads |                                         | call_decided c3 deny
        2s | call | b   | line  | pay.refund | {"cents":1} | allow                 | by line.may[0]                               | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c4 allow
        "#]],
    );
}

#[test]
fn observe_lets_go_but_not_everything() {
    let limited = May { calls_per_run_max: Some(1), ..may("desk.may[0]", "crm.lookup") };
    let ask = May { ask: Some("leads".into()), ..may("desk.may[1]", "mail.send") };
    let mut agent = manifest("desk", vec![limited, ask]);
    agent.mode = Mode::Observe;
    agent.phases = true;
    agent.per_run.usd_nanos = Some(10);
    let table = r#"
        at | do   | run | tool       | args
        0s | open | a   |            |
        1s | call | a   | crm.lookup | {"id":"7"}
        1s | call | a   | crm.lookup | {"id":"7"}
        1s | call | a   | crm.note   | {}
        1s | call | a   | mail.send  | {"to":"a@x.example"}
        1s | call | a   | pay.refund | {"cents":1}
        1s | call | a   | pay.refund | {"cents":1}
        1s | call | a   | crm.lookup | {}
        1s | call | a   | crm.erase  | {}
        1s | call | b   | crm.lookup | {"id":"7"}
        2s | halt |     |            | all
        2s | call | a   | crm.lookup | {"id":"7"}
    "#;
    check(
        book(vec![agent]),
        table,
        expect![[r#"
        at | do   | run | tool       | args                 | answer                | code                                                                                                      | account                                 | event
        0s | open | a   |            |                      | a open until 13:00:00 |                                                                                                           |                                         | run_opened
        1s | call | a   | crm.lookup | {"id":"7"}           | allow                 | by desk.may[0]                                                                                            | calls 0+1                               | call_decided c1 allow
        1s | call | a   | crm.lookup | {"id":"7"}           | allow                 | would: limit_reached (calls of this tool in one run) max 1; by desk.may[0]                                | calls 0+2                               | call_decided c2 allow
        1s | call | a   | crm.note   | {}                   | allow                 | would: phase_forbids (explore); would: no_rule_allows                                                     | calls 0+3 writes 0+1                    | call_decided c3 allow
        1s | call | a   | mail.send  | {"to":"a@x.example"} | allow                 | would: phase_forbids (explore); would: approval_unavailable ask leads near desk.may[1]: approved by leads | calls 0+4 writes 0+2 final 0+1          | call_decided c4 allow
        1s | call | a   | pay.refund | {"cents":1}          | allow                 | would: phase_forbids (explore); would: no_rule_allows                                                     | calls 0+5 writes 0+3 final 0+2 usd 0+10 | call_decided c5 allow; threshold_crossed 100 stop
        1s | call | a   | pay.refund | {"cents":1}          | deny                  | budget_exceeded (usd (nano-dollars)) max 10; would: phase_forbids (explore); would: no_rule_allows        | calls 0+5 writes 0+3 final 0+2 usd 0+10 | call_decided c6 deny
        1s | call | a   | crm.lookup | {}                   | deny                  | schema_mismatch at  ("id" is a required property)                                                         | calls 0+5 writes 0+3 final 0+2 usd 0+10 | call_decided c7 deny
        1s | call | a   | crm.erase  | {}                   | deny                  | tool_unknown (crm.erase)                                                                                  | calls 0+5 writes 0+3 final 0+2 usd 0+10 | call_decided c8 deny
        1s | call | b   | crm.lookup | {"id":"7"}           | deny                  | run_unknown                                                                                               |                                         | call_decided c9 deny
        2s | halt |     |            | all                  | done                  |                                                                                                           |                                         | halted
        2s | call | a   | crm.lookup | {"id":"7"}           | deny                  | halted (all, since 2026-11-21T12:00:02.000Z by ann: smoke)                                                | calls 0+5 writes 0+3 final 0+2 usd 0+10 | call_decided c10 deny
        "#]],
    );
}

#[test]
fn an_agent_in_phases_only_reads() {
    let mut agent = desk();
    agent.phases = true;
    let table = r#"
        at | do       | run | tool       | args
        0s | open     | a   |            |
        1s | call     | a   | crm.lookup | {"id":"7"}
        1s | call     | a   | crm.note   | {}
        1s | question |     | crm.note   | {}
    "#;
    check(
        book(vec![agent]),
        table,
        expect![[r#"
        at | do       | run | tool       | args       | answer                | code                    | account   | event
        0s | open     | a   |            |            | a open until 13:00:00 |                         |           | run_opened
        1s | call     | a   | crm.lookup | {"id":"7"} | allow                 | by desk.may             | calls 0+1 | call_decided c1 allow
        1s | call     | a   | crm.note   | {}         | deny                  | phase_forbids (explore) | calls 0+1 | call_decided c2 deny
        1s | question |     | crm.note   | {}         | allow                 | by desk.may             |           | questioned c3
        "#]],
    );
}

#[test]
fn a_question_needs_no_run() {
    let reader = manifest("reader", vec![may("reader.may[0]", "crm.lookup")]);
    let table = r#"
        at | do       | run | agent  | tool       | args
        1s | question |     | reader | crm.lookup | {"id":"7"}
        1s | question |     | reader | crm.note   | {}
        1s | question |     | ghost  | crm.note   | {}
        1s | halt     |     |        |            | server:crm
        1s | question |     | reader | crm.lookup | {"id":"7"}
    "#;
    check(
        book(vec![reader]),
        table,
        expect![[r#"
        at | do       | run | agent  | tool       | args       | answer | code                                                              | account | event
        1s | question |     | reader | crm.lookup | {"id":"7"} | allow  | by reader.may[0]                                                  |         | questioned c1
        1s | question |     | reader | crm.note   | {}         | deny   | no_rule_allows                                                    |         | questioned c2
        1s | question |     | ghost  | crm.note   | {}         | deny   | agent_unknown (ghost)                                             |         | questioned c3
        1s | halt     |     |        |            | server:crm | done   |                                                                   |         | halted
        1s | question |     | reader | crm.lookup | {"id":"7"} | deny   | halted (server:crm, since 2026-11-21T12:00:01.000Z by ann: smoke) |         | questioned c4
    "#]],
    );
}
