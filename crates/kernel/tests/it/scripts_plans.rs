//! Scripts: plans, from what is said to them to what is left of them.

use expect_test::expect;
use kernel::before::Before;
use kernel::book::Book;
use kernel::contract::{Contract, Effect};
use kernel::deed::{Companion, Deed, Expect, Undo, VersionRead};
use kernel::progress::{OnFailure, OnHalt};
use serde_json::json;

use crate::book::{book, contract, desk, with_rule};
use crate::script::check;

pub(crate) const ALL: &[fn()] = &[
    a_plan_is_judged_step_by_step_and_as_a_whole,
    what_is_not_known_yet_is_decided_when_it_runs,
    a_plan_costs_before_it_begins_and_gives_back_what_it_did_not_take,
    only_the_plan_is_carried_out,
    a_step_that_fails_takes_back_what_stands,
    an_undo_is_what_was_kept_and_only_over_what_the_deed_left,
    halts_bind_steps_and_fewer_of_them_undos,
    a_claim_is_one_runs_at_a_time,
    what_was_committed_is_taken_back_within_its_window,
    later_runs_bar_the_way_back,
    a_person_says_what_nobody_knows_and_accepts_what_is_left,
    the_agent_may_mend_what_failed,
    a_gate_that_says_decide_stops_a_plan,
    a_plan_from_before_such_a_gate_is_proposed_again,
    reads_come_before_writes,
    companions_have_the_contract_for_their_authority,
    a_run_is_not_closed_over_its_plan,
    a_rule_binds_what_takes_back_only_if_it_says_so,
    taking_back_is_posted_and_no_budget_bars_it,
    a_plan_is_held_to_the_limits_of_each_tool_as_a_whole,
];

/// `box.set` is taken back by `box.unset` within an hour and guarded by a version; `box.put` is put back as it was;
/// `box.send` is final and waits 5 s.
pub(crate) fn boxes() -> Book {
    let mut agent = desk();
    agent.phases = true;
    let id = json!({ "type": "object", "properties": { "id": { "type": "integer" }, "n": { "type": "integer" } }, "required": ["id"] });
    let args = json!({ "id": "{args.id}" });
    let tool = |name: &str, effect, deed| Contract {
        deed,
        cost_usd_nanos: 10,
        ..contract(name, effect, id.clone())
    };
    let within = |tool: &str| Undo::Tool {
        args: args.clone(),
        retries: 1,
        tool: tool.into(),
        within_ms: Some(3_600_000),
    };
    let look = |that: &str| Expect { args: args.clone(), that: that.into(), tool: "box.get".into() };
    let read = Companion { args: args.clone(), tool: "box.get".into() };
    let set = Deed {
        expect: Some(look("result.n == args.n")),
        preview: Some(read.clone()),
        touches: vec!["box:{args.id}".into()],
        undo: Some(within("box.unset")),
        version: Some(VersionRead { args: args.clone(), tool: "box.get".into(), value: vec!["v".into()] }),
        ..Deed::default()
    };
    let write = Companion { args: json!({ "id": "{before.id}" }), tool: "box.put".into() };
    let put = Deed {
        undo: Some(Undo::Restore { read, retries: 0, within_ms: None, write }),
        touches: vec!["box:{args.id}".into()],
        ..Deed::default()
    };
    let probed =
        Deed { probe: Some(look("result.n == args.n")), undo: Some(within("box.unset")), ..Deed::default() };
    let tools = [
        Contract {
            deed: Deed::default(),
            cost_usd_nanos: 0,
            ..tool("box.get", Effect::Read, Deed::default())
        },
        tool("box.set", Effect::Reversible, set),
        tool("box.put", Effect::Reversible, put),
        tool("box.probed", Effect::Reversible, probed),
        tool("box.unset", Effect::Reversible, Deed::default()),
        tool("box.send", Effect::Irreversible, Deed { delay_ms: Some(5_000), ..Deed::default() }),
    ];
    let mut book = book(vec![agent]);
    book.tools.extend(tools.into_iter().map(|tool| (tool.name.clone(), tool)));
    book
}

pub(crate) fn manifest(book: &mut Book) -> &mut kernel::agent::Manifest {
    book.agents.get_mut("desk").unwrap()
}

#[test]
fn a_plan_is_judged_step_by_step_and_as_a_whole() {
    let mut book = with_rule(
        boxes(),
        r#"forbid (principal, action == Remit::Action::"box.send", resource) when { context.args.n > 5 };"#,
    );
    book.tools.get_mut("box.send").unwrap().input = json!({ "type": "object", "properties":
        { "id": { "type": "integer" }, "n": { "type": "integer" } }, "required": ["id", "n"] });
    manifest(&mut book).per_run.writes = Some(8);
    let table = r#"
        at | do     | run | args
        0s | plan   | z   | [{"id":"a","tool":"box.set","args":{"id":1}}]
        0s | open   | a   |
        0s | plan   | a   | [{"id":"a","tool":"box.set"}, 7]
        0s | plan   | a   | [{"id":"a","tool":"box.set"}]
        1s | plan   | a   | [{"id":"s","tool":"box.send","args":{"id":1,"n":1}},{"id":"a","tool":"box.set","args":{"id":1}},{"id":"p","tool":"box.put","args":{"id":2}}]
        1s | plan   | a   | [{"id":"s","tool":"box.send","args":{"id":1,"n":9}},{"id":"x","tool":"box.none"},{"id":"n","tool":"crm.note"}]
        2s | commit | a   |
        3s | plan   | a   | [{"id":"a","tool":"box.set","args":{"id":1}},{"id":"b","tool":"box.put","args":{"id":1}},{"id":"n","tool":"crm.note"}]
        4s | plan   | a   | [{"id":"a","tool":"box.set","args":{"id":1}},{"id":"b","tool":"box.set","args":{"id":2}},{"id":"c","tool":"box.set","args":{"id":3}},{"id":"d","tool":"box.set","args":{"id":4}},{"id":"e","tool":"box.set","args":{"id":5}}]
        5s | plan   | a   | [{"id":"a","tool":"box.get","args":{"id":1},"expect":{"tool":"box.set","that":"result.n == 1"}}]
    "#;
    check(
        book,
        table,
        expect![[r#"
        at | do     | run | args                                                                                                                                                                                                                          | answer                              | code                                                                         | account | event
        0s | plan   | z   | [{"id":"a","tool":"box.set","args":{"id":1}}]                                                                                                                                                                                 | refused                             | run_unknown                                                                  |         |
        0s | open   | a   |                                                                                                                                                                                                                               | a open until 13:00:00               |                                                                              |         | run_opened
        0s | plan   | a   | [{"id":"a","tool":"box.set"}, 7]                                                                                                                                                                                              | refused                             | plan_invalid at /steps/1 (an object is expected)                             |         |
        0s | plan   | a   | [{"id":"a","tool":"box.set"}]                                                                                                                                                                                                 | plan 1 deny: a                      | a: schema_mismatch at  ("id" is a required property)                         |         | plan_proposed deny; phase_changed explore to decide by plan
        1s | plan   | a   | [{"id":"s","tool":"box.send","args":{"id":1,"n":1}},{"id":"a","tool":"box.set","args":{"id":1}},{"id":"p","tool":"box.put","args":{"id":2}}]                                                                                  | plan 2 allow: a p s, for good: s    | p: unguarded                                                                 |         | plan_proposed allow
        1s | plan   | a   | [{"id":"s","tool":"box.send","args":{"id":1,"n":9}},{"id":"x","tool":"box.none"},{"id":"n","tool":"crm.note"}]                                                                                                                | plan 3 deny: s x n, for good: s x n | s: rule_forbids rule house.cedar:1; x: tool_unknown (box.none)               |         | plan_proposed deny
        2s | commit | a   |                                                                                                                                                                                                                               | refused                             | plan_denied                                                                  |         |
        3s | plan   | a   | [{"id":"a","tool":"box.set","args":{"id":1}},{"id":"b","tool":"box.put","args":{"id":1}},{"id":"n","tool":"crm.note"}]                                                                                                        | plan 4 allow: a b n, for good: n    | a: unguarded; b: unguarded                                                   |         | plan_proposed allow
        4s | plan   | a   | [{"id":"a","tool":"box.set","args":{"id":1}},{"id":"b","tool":"box.set","args":{"id":2}},{"id":"c","tool":"box.set","args":{"id":3}},{"id":"d","tool":"box.set","args":{"id":4}},{"id":"e","tool":"box.set","args":{"id":5}}] | plan 5 deny: a b c d e              | budget_exceeded (writes) max 8                                               |         | plan_proposed deny
        5s | plan   | a   | [{"id":"a","tool":"box.get","args":{"id":1},"expect":{"tool":"box.set","that":"result.n == 1"}}]                                                                                                                              | plan 6 deny: a                      | a: plan_invalid at /steps/a/expect/tool (a tool that only reads is expected) |         | plan_proposed deny
    "#]],
    );
}

#[test]
fn what_is_not_known_yet_is_decided_when_it_runs() {
    let book = with_rule(
        boxes(),
        r#"forbid (principal, action == Remit::Action::"box.send", resource) when { context.args has n && context.args.n > 5 };"#,
    );
    let table = r#"
        at  | do     | run | args                                                                                                              | key | call
        0s  | open   | a   |                                                                                                                   |     |
        0s  | plan   | a   | [{"id":"a","tool":"box.get","args":{"id":1}},{"id":"s","tool":"box.send","args":{"id":2,"n":"$steps.a.result.id"}},{"id":"t","tool":"box.send","args":{"id":"$steps.a.result.id","n":8}}] | |
        0s  | plan   | a   | [{"id":"a","tool":"box.get","args":{"id":1}},{"id":"s","tool":"box.send","args":{"id":"text","n":"$steps.a.result.id"}}] | |
        1s  | plan   | a   | [{"id":"a","tool":"box.get","args":{"id":1}},{"id":"s","tool":"box.send","args":{"id":2,"n":"$steps.a.result.id"}}] |     |
        1s  | commit | a   |                                                                                                                   |     |
        1s  | step   | a   | a                                                                                                                 |     |
        2s  | settle | a   | succeeded                                                                                                         |     | c1
        3s  | step   | a   | s                                                                                                                 |     |
        8s  | step   | a   | s                                                                                                                 |     |
        8s  | unwind | a   |                                                                                                                   |     |
        8s  | end    | a   |                                                                                                                   |     |
    "#;
    check(
        book,
        table,
        expect![[r#"
        at | do     | run | args                                                                                                                                                                                      | key | call | answer                            | code                                                                  | account                                 | event
        0s | open   | a   |                                                                                                                                                                                           |     |      | a open until 13:00:00             |                                                                       |                                         | run_opened
        0s | plan   | a   | [{"id":"a","tool":"box.get","args":{"id":1}},{"id":"s","tool":"box.send","args":{"id":2,"n":"$steps.a.result.id"}},{"id":"t","tool":"box.send","args":{"id":"$steps.a.result.id","n":8}}] |     |      | plan 1 deny: a s t, for good: s t | s: later; t: later, rule_forbids rule house.cedar:1                   |                                         | plan_proposed deny; phase_changed explore to decide by plan
        0s | plan   | a   | [{"id":"a","tool":"box.get","args":{"id":1}},{"id":"s","tool":"box.send","args":{"id":"text","n":"$steps.a.result.id"}}]                                                                  |     |      | plan 2 deny: a s, for good: s     | s: later, schema_mismatch at /id (the value is not of type "integer") |                                         | plan_proposed deny
        1s | plan   | a   | [{"id":"a","tool":"box.get","args":{"id":1}},{"id":"s","tool":"box.send","args":{"id":2,"n":"$steps.a.result.id"}}]                                                                       |     |      | plan 3 allow: a s, for good: s    | s: later                                                              |                                         | plan_proposed allow
        1s | commit | a   |                                                                                                                                                                                           |     |      | committing: a waiting, s outbox   |                                                                       | calls 0+2 writes 0+1 final 0+1 usd 0+10 | commit_started
        1s | step   | a   | a                                                                                                                                                                                         |     |      | allow                             | by desk.may                                                           | calls 0+2 writes 0+1 final 0+1 usd 0+10 | call_decided c1 allow
        2s | settle | a   | succeeded                                                                                                                                                                                 |     | c1   | done                              |                                                                       | calls 1+1 writes 0+1 final 0+1 usd 0+10 | call_finished c1 succeeded by gate
        3s | step   | a   | s                                                                                                                                                                                         |     |      | deny                              | step_not_due (outbox)                                                 | calls 1+1 writes 0+1 final 0+1 usd 0+10 | call_decided c2 deny
        8s | step   | a   | s                                                                                                                                                                                         |     |      | deny                              | rule_forbids rule house.cedar:1                                       | calls 1+1 writes 0+1 final 0+1 usd 0+10 | call_decided c3 deny
        8s | unwind | a   |                                                                                                                                                                                           |     |      | unwinding: a done, s failed       |                                                                       | calls 1+1 writes 0+1 final 0+1 usd 0+10 | unwind_started rule_forbids by saga
        8s | end    | a   |                                                                                                                                                                                           |     |      | rolled_back: a done, s failed     |                                                                       | calls 1+0                               | commit_ended rolled_back
    "#]],
    );
}

#[test]
fn a_plan_costs_before_it_begins_and_gives_back_what_it_did_not_take() {
    let mut book = boxes();
    manifest(&mut book).per_run.usd_nanos = Some(50);
    let table = r#"
        at | do     | run | args                                                                                        | call | tool
        0s | open   | a   |                                                                                             |      |
        0s | plan   | a   | [{"id":"a","tool":"box.set","args":{"id":1}},{"id":"b","tool":"box.set","args":{"id":2}},{"id":"c","tool":"box.set","args":{"id":3}}] | |
        0s | plan   | a   | [{"id":"a","tool":"box.put","args":{"id":1}},{"id":"b","tool":"box.put","args":{"id":2}}]   |      |
        1s | claim  | a   |                                                                                             |      |
        1s | commit | a   |                                                                                             |      |
        1s | call   | a   | {"id":"7"}                                                                                  |      | crm.lookup
        2s | step   | a   | a                                                                                           |      |
        2s | settle | a   | succeeded 4                                                                                 | c2   |
        3s | step   | a   | b                                                                                           |      |
        3s | settle | a   | succeeded                                                                                   | c3   |
        4s | end    | a   |                                                                                             |      |
        5s | end    | a   |                                                                                             |      |
    "#;
    check(
        book,
        table,
        expect![[r#"
        at | do     | run | args                                                                                                                                  | call | tool       | answer                           | code                                        | account                        | event
        0s | open   | a   |                                                                                                                                       |      |            | a open until 13:00:00            |                                             |                                | run_opened
        0s | plan   | a   | [{"id":"a","tool":"box.set","args":{"id":1}},{"id":"b","tool":"box.set","args":{"id":2}},{"id":"c","tool":"box.set","args":{"id":3}}] |      |            | plan 1 deny: a b c               | budget_exceeded (usd (nano-dollars)) max 50 |                                | plan_proposed deny; phase_changed explore to decide by plan
        0s | plan   | a   | [{"id":"a","tool":"box.put","args":{"id":1}},{"id":"b","tool":"box.put","args":{"id":2}}]                                             |      |            | plan 2 allow: a b                | a: unguarded; b: unguarded                  |                                | plan_proposed allow
        1s | claim  | a   |                                                                                                                                       |      |            | done                             |                                             |                                | claimed
        1s | commit | a   |                                                                                                                                       |      |            | committing: a waiting, b waiting |                                             | calls 0+6 writes 0+4 usd 0+40  | commit_started
        1s | call   | a   | {"id":"7"}                                                                                                                            |      | crm.lookup | allow                            | by desk.may                                 | calls 0+7 writes 0+4 usd 0+40  | call_decided c1 allow; threshold_crossed 75 decide
        2s | step   | a   | a                                                                                                                                     |      |            | allow                            | by desk.may                                 | calls 0+7 writes 0+4 usd 0+40  | call_decided c2 allow
        2s | settle | a   | succeeded 4                                                                                                                           | c2   |            | done                             |                                             | calls 1+6 writes 1+3 usd 4+30  | call_finished c2 succeeded by gate
        3s | step   | a   | b                                                                                                                                     |      |            | allow                            | by desk.may                                 | calls 1+6 writes 1+3 usd 4+30  | call_decided c3 allow
        3s | settle | a   | succeeded                                                                                                                             | c3   |            | done                             |                                             | calls 2+5 writes 2+2 usd 14+20 | call_finished c3 succeeded by gate
        4s | end    | a   |                                                                                                                                       |      |            | committed: a done, b done        |                                             | calls 2+1 writes 2+0 usd 14+0  | commit_ended committed
        5s | end    | a   |                                                                                                                                       |      |            | refused                          | step_not_due (committed)                    | calls 2+1 writes 2+0 usd 14+0  |
    "#]],
    );
}

#[test]
fn only_the_plan_is_carried_out() {
    let table = r#"
        at  | do     | run | args                                         | key      | tool       | call
        0s  | open   | a   |                                              |          |            |
        0s  | commit | a   | 1                                            |          |            |
        0s  | call   | a   | {}                                           |          | crm.note   |
        0s  | plan   | a   | [{"id":"p","tool":"box.put","args":{"id":1}},{"id":"s","tool":"box.send","args":{"id":1}}] |  | |
        0s  | call   | a   | {}                                           |          | crm.note   |
        0s  | step   | a   | p                                            |          |            |
        1s  | phase  | a   | explore                                      |          |            |
        1s  | claim  | a   |                                              |          |            |
        1s  | commit | a   |                                              |          |            |
        1s  | phase  | a   | decide                                       |          |            |
        1s  | phase  | a   | commit                                       |          |            |
        1s  | commit | a   | 7                                            |          |            |
        1s  | commit | a   |                                              |          |            |
        1s  | commit | a   |                                              |          |            |
        1s  | plan   | a   | [{"id":"p","tool":"crm.note"}]               |          |            |
        1s  | phase  | a   | explore                                      |          |            |
        2s  | call   | a   | {}                                           |          | crm.note   |
        2s  | call   | a   | {"id":"7"}                                   |          | crm.lookup |
    "#;
    check(
        boxes(),
        table,
        expect![[r#"
        at | do     | run | args                                                                                       | key | tool       | call | answer                          | code                    | account                                 | event
        0s | open   | a   |                                                                                            |     |            |      | a open until 13:00:00           |                         |                                         | run_opened
        0s | commit | a   | 1                                                                                          |     |            |      | refused                         | plan_unknown            |                                         |
        0s | call   | a   | {}                                                                                         |     | crm.note   |      | deny                            | phase_forbids (explore) |                                         | call_decided c1 deny
        0s | plan   | a   | [{"id":"p","tool":"box.put","args":{"id":1}},{"id":"s","tool":"box.send","args":{"id":1}}] |     |            |      | plan 1 allow: p s, for good: s  | p: unguarded            |                                         | plan_proposed allow; phase_changed explore to decide by plan
        0s | call   | a   | {}                                                                                         |     | crm.note   |      | deny                            | phase_forbids (decide)  |                                         | call_decided c2 deny
        0s | step   | a   | p                                                                                          |     |            |      | deny                            | step_not_due (waiting)  |                                         | call_decided c3 deny
        1s | phase  | a   | explore                                                                                    |     |            |      | explore                         |                         |                                         | phase_changed decide to explore by agent
        1s | claim  | a   |                                                                                            |     |            |      | done                            |                         |                                         | claimed
        1s | commit | a   |                                                                                            |     |            |      | refused                         | phase_forbids (explore) |                                         |
        1s | phase  | a   | decide                                                                                     |     |            |      | decide                          |                         |                                         | phase_changed explore to decide by agent
        1s | phase  | a   | commit                                                                                     |     |            |      | refused                         | plan_unknown            |                                         |
        1s | commit | a   | 7                                                                                          |     |            |      | refused                         | plan_unknown            |                                         |
        1s | commit | a   |                                                                                            |     |            |      | committing: p waiting, s outbox |                         | calls 0+4 writes 0+3 final 0+1 usd 0+30 | commit_started
        1s | commit | a   |                                                                                            |     |            |      | refused                         | commit_under_way        | calls 0+4 writes 0+3 final 0+1 usd 0+30 |
        1s | plan   | a   | [{"id":"p","tool":"crm.note"}]                                                             |     |            |      | refused                         | commit_under_way        | calls 0+4 writes 0+3 final 0+1 usd 0+30 |
        1s | phase  | a   | explore                                                                                    |     |            |      | refused                         | commit_under_way        | calls 0+4 writes 0+3 final 0+1 usd 0+30 |
        2s | call   | a   | {}                                                                                         |     | crm.note   |      | deny                            | phase_forbids (commit)  | calls 0+4 writes 0+3 final 0+1 usd 0+30 | call_decided c4 deny
        2s | call   | a   | {"id":"7"}                                                                                 |     | crm.lookup |      | allow                           | by desk.may             | calls 0+5 writes 0+3 final 0+1 usd 0+30 | call_decided c5 allow
    "#]],
    );
    let table = r#"
        at  | do     | run | args                                         | key      | agent | call
        0s  | open   | a   |                                              |          |       |
        0s  | plan   | a   | [{"id":"p","tool":"box.put","args":{"id":1}},{"id":"s","tool":"box.send","args":{"id":1}}] |  | |
        1s  | claim  | a   |                                              |          |       |
        1s  | commit | a   |                                              |          |       |
        2s  | step   | a   | s                                            |          |       |
        2s  | step   | a   | p                                            | other    |       |
        2s  | step   | a   | p                                            |          |       |
        2s  | unwind | a   |                                              |          |       |
        2s  | end    | a   |                                              |          |       |
    "#;
    check(
        boxes(),
        table,
        expect![[r#"
        at | do     | run | args                                                                                       | key   | agent | call | answer                           | code                          | account                                 | event
        0s | open   | a   |                                                                                            |       |       |      | a open until 13:00:00            |                               |                                         | run_opened
        0s | plan   | a   | [{"id":"p","tool":"box.put","args":{"id":1}},{"id":"s","tool":"box.send","args":{"id":1}}] |       |       |      | plan 1 allow: p s, for good: s   | p: unguarded                  |                                         | plan_proposed allow; phase_changed explore to decide by plan
        1s | claim  | a   |                                                                                            |       |       |      | done                             |                               |                                         | claimed
        1s | commit | a   |                                                                                            |       |       |      | committing: p waiting, s outbox  |                               | calls 0+4 writes 0+3 final 0+1 usd 0+30 | commit_started
        2s | step   | a   | s                                                                                          |       |       |      | deny                             | step_not_due (outbox)         | calls 0+4 writes 0+3 final 0+1 usd 0+30 | call_decided c1 deny
        2s | step   | a   | p                                                                                          | other |       |      | deny                             | plan_deviates (its arguments) | calls 0+4 writes 0+3 final 0+1 usd 0+30 | call_decided c2 deny
        2s | step   | a   | p                                                                                          |       |       |      | deny                             | step_not_due (failed)         | calls 0+4 writes 0+3 final 0+1 usd 0+30 | call_decided c3 deny
        2s | unwind | a   |                                                                                            |       |       |      | unwinding: p failed, s skipped   |                               | calls 0+4 writes 0+3 final 0+1 usd 0+30 | unwind_started plan_deviates by saga
        2s | end    | a   |                                                                                            |       |       |      | rolled_back: p failed, s skipped |                               |                                         | commit_ended rolled_back
    "#]],
    );
    let table = r#"
        at  | do     | run | args                                         | key      | agent | call
        0s  | open   | a   |                                              |          |       |
        0s  | plan   | a   | [{"id":"p","tool":"box.put","args":{"id":1}},{"id":"s","tool":"box.send","args":{"id":1}}] |  | |
        1s  | claim  | a   |                                              |          |       |
        1s  | commit | a   |                                              |          |       |
        2s  | step   | a   | p                                            |          | other |
        2s  | step   | a   | p                                            |          |       |
        2s  | step   | a   | p                                            |          |       |
        3s  | settle | a   | succeeded                                    |          |       | c2
        3s  | step   | a   | s                                            |          |       |
        8s  | step   | a   | s                                            |          |       |
        9s  | settle | a   | succeeded                                    |          |       | c5
        9s  | end    | a   |                                              |          |       |
        9s  | step   | a   | s                                            |          |       |
    "#;
    check(
        boxes(),
        table,
        expect![[r#"
        at | do     | run | args                                                                                       | key | agent | call | answer                          | code                    | account                                  | event
        0s | open   | a   |                                                                                            |     |       |      | a open until 13:00:00           |                         |                                          | run_opened
        0s | plan   | a   | [{"id":"p","tool":"box.put","args":{"id":1}},{"id":"s","tool":"box.send","args":{"id":1}}] |     |       |      | plan 1 allow: p s, for good: s  | p: unguarded            |                                          | plan_proposed allow; phase_changed explore to decide by plan
        1s | claim  | a   |                                                                                            |     |       |      | done                            |                         |                                          | claimed
        1s | commit | a   |                                                                                            |     |       |      | committing: p waiting, s outbox |                         | calls 0+4 writes 0+3 final 0+1 usd 0+30  | commit_started
        2s | step   | a   | p                                                                                          |     | other |      | deny                            | plan_unknown (the step) | calls 0+4 writes 0+3 final 0+1 usd 0+30  | call_decided c1 deny
        2s | step   | a   | p                                                                                          |     |       |      | allow                           | by desk.may             | calls 0+4 writes 0+3 final 0+1 usd 0+30  | call_decided c2 allow
        2s | step   | a   | p                                                                                          |     |       |      | deny                            | step_not_due (running)  | calls 0+4 writes 0+3 final 0+1 usd 0+30  | call_decided c3 deny
        3s | settle | a   | succeeded                                                                                  |     |       | c2   | done                            |                         | calls 1+3 writes 1+2 final 0+1 usd 10+20 | call_finished c2 succeeded by gate
        3s | step   | a   | s                                                                                          |     |       |      | deny                            | step_not_due (outbox)   | calls 1+3 writes 1+2 final 0+1 usd 10+20 | call_decided c4 deny
        8s | step   | a   | s                                                                                          |     |       |      | allow                           | by desk.may             | calls 1+3 writes 1+2 final 0+1 usd 10+20 | call_decided c5 allow
        9s | settle | a   | succeeded                                                                                  |     |       | c5   | done                            |                         | calls 2+2 writes 2+1 final 1+0 usd 20+10 | call_finished c5 succeeded by gate
        9s | end    | a   |                                                                                            |     |       |      | committed: p done, s done       |                         | calls 2+0 writes 2+0 final 1+0 usd 20+0  | commit_ended committed
        9s | step   | a   | s                                                                                          |     |       |      | deny                            | step_not_due (done)     | calls 2+0 writes 2+0 final 1+0 usd 20+0  | call_decided c6 deny
    "#]],
    );
}

#[test]
fn a_step_that_fails_takes_back_what_stands() {
    let table = r#"
        at  | do     | run | args                                                                                      | key | call
        0s  | open   | a   |                                                                                           |     |
        0s  | plan   | a   | [{"id":"a","tool":"box.set","args":{"id":1}},{"id":"b","tool":"box.put","args":{"id":2},"after":["a"]},{"id":"c","tool":"box.set","args":{"id":3},"after":["b"]}] | |
        0s  | claim  | a   |                                                                                           |     |
        0s  | commit | a   |                                                                                           |     |
        1s  | step   | a   | a                                                                                         |     |
        1s  | settle | a   | succeeded                                                                                 |     | c1
        1s  | step   | a   | b                                                                                         |     |
        1s  | look   | a   | a held                                                                                    | v1  |
        1s  | look   | a   | b held                                                                                    |     |
        1s  | step   | a   | b                                                                                         |     |
        2s  | settle | a   | succeeded                                                                                 |     | c3
        2s  | step   | a   | c                                                                                         |     |
        2s  | unwind | a   |                                                                                           |     |
        3s  | settle | a   | failed                                                                                    |     | c4
        3s  | unwind | a   |                                                                                           |     |
        3s  | unwind | a   |                                                                                           |     |
        3s  | undo   | a   | a                                                                                         | v1  |
        3s  | undo   | a   | b                                                                                         |     |
        4s  | settle | a   | succeeded                                                                                 |     | c6
        4s  | undo   | a   | a                                                                                         | v1  |
        4s  | end    | a   |                                                                                           |     |
        5s  | settle | a   | failed                                                                                    |     | c7
        5s  | undo   | a   | a                                                                                         | v1  |
        6s  | undo   | a   | a                                                                                         | v1  |
        6s  | settle | a   | succeeded                                                                                 |     | c9
        6s  | end    | a   |                                                                                           |     |
        7s  | close  | a   |                                                                                           |     |
    "#;
    check(
        boxes(),
        table,
        expect![[r#"
        at | do     | run | args                                                                                                                                                              | key | call | answer                                      | code                      | account                         | event
        0s | open   | a   |                                                                                                                                                                   |     |      | a open until 13:00:00                       |                           |                                 | run_opened
        0s | plan   | a   | [{"id":"a","tool":"box.set","args":{"id":1}},{"id":"b","tool":"box.put","args":{"id":2},"after":["a"]},{"id":"c","tool":"box.set","args":{"id":3},"after":["b"]}] |     |      | plan 1 allow: a b c                         | b: unguarded              |                                 | plan_proposed allow; phase_changed explore to decide by plan
        0s | claim  | a   |                                                                                                                                                                   |     |      | done                                        |                           |                                 | claimed
        0s | commit | a   |                                                                                                                                                                   |     |      | committing: a waiting, b waiting, c waiting |                           | calls 0+13 writes 0+6 usd 0+60  | commit_started
        1s | step   | a   | a                                                                                                                                                                 |     |      | allow                                       | by desk.may               | calls 0+13 writes 0+6 usd 0+60  | call_decided c1 allow
        1s | settle | a   | succeeded                                                                                                                                                         |     | c1   | done                                        |                           | calls 1+12 writes 1+5 usd 10+50 | call_finished c1 succeeded by gate
        1s | step   | a   | b                                                                                                                                                                 |     |      | deny                                        | step_not_due (waiting)    | calls 1+12 writes 1+5 usd 10+50 | call_decided c2 deny
        1s | look   | a   | a held                                                                                                                                                            | v1  |      | committing: a done, b waiting, c waiting    |                           | calls 1+12 writes 1+5 usd 10+50 | step_checked
        1s | look   | a   | b held                                                                                                                                                            |     |      | refused                                     | step_not_due (waiting)    | calls 1+12 writes 1+5 usd 10+50 |
        1s | step   | a   | b                                                                                                                                                                 |     |      | allow                                       | by desk.may               | calls 1+12 writes 1+5 usd 10+50 | call_decided c3 allow
        2s | settle | a   | succeeded                                                                                                                                                         |     | c3   | done                                        |                           | calls 2+11 writes 2+4 usd 20+40 | call_finished c3 succeeded by gate
        2s | step   | a   | c                                                                                                                                                                 |     |      | allow                                       | by desk.may               | calls 2+11 writes 2+4 usd 20+40 | call_decided c4 allow
        2s | unwind | a   |                                                                                                                                                                   |     |      | refused                                     | step_not_due (committing) | calls 2+11 writes 2+4 usd 20+40 |
        3s | settle | a   | failed                                                                                                                                                            |     | c4   | done                                        |                           | calls 3+10 writes 3+3 usd 20+30 | call_finished c4 failed by gate
        3s | unwind | a   |                                                                                                                                                                   |     |      | unwinding: a done, b done, c failed         |                           | calls 3+10 writes 3+3 usd 20+30 | unwind_started failed by saga
        3s | unwind | a   |                                                                                                                                                                   |     |      | refused                                     | step_not_due (unwinding)  | calls 3+10 writes 3+3 usd 20+30 |
        3s | undo   | a   | a                                                                                                                                                                 | v1  |      | deny                                        | step_not_due (done)       | calls 3+10 writes 3+3 usd 20+30 | call_decided c5 deny
        3s | undo   | a   | b                                                                                                                                                                 |     |      | allow                                       |                           | calls 3+10 writes 3+3 usd 20+30 | call_decided c6 allow
        4s | settle | a   | succeeded                                                                                                                                                         |     | c6   | done                                        |                           | calls 4+9 writes 4+2 usd 30+20  | call_finished c6 succeeded by gate
        4s | undo   | a   | a                                                                                                                                                                 | v1  |      | allow                                       |                           | calls 4+9 writes 4+2 usd 30+20  | call_decided c7 allow
        4s | end    | a   |                                                                                                                                                                   |     |      | refused                                     | step_not_due (unwinding)  | calls 4+9 writes 4+2 usd 30+20  |
        5s | settle | a   | failed                                                                                                                                                            |     | c7   | done                                        |                           | calls 5+8 writes 5+1 usd 30+10  | call_finished c7 failed by gate
        5s | undo   | a   | a                                                                                                                                                                 | v1  |      | deny                                        | step_not_due (done)       | calls 5+8 writes 5+1 usd 30+10  | call_decided c8 deny
        6s | undo   | a   | a                                                                                                                                                                 | v1  |      | allow                                       |                           | calls 5+8 writes 5+1 usd 30+10  | call_decided c9 allow
        6s | settle | a   | succeeded                                                                                                                                                         |     | c9   | done                                        |                           | calls 6+7 writes 6+0 usd 40+0   | call_finished c9 succeeded by gate
        6s | end    | a   |                                                                                                                                                                   |     |      | rolled_back: a undone, b undone, c failed   |                           | calls 6+0 writes 6+0 usd 40+0   | commit_ended rolled_back
        7s | close  | a   |                                                                                                                                                                   |     |      | done                                        |                           |                                 | run_closed success by ann
        "#]],
    );
}

#[test]
fn an_undo_is_what_was_kept_and_only_over_what_the_deed_left() {
    let begin = r#"
        at  | do     | run | args                                                                                      | key   | call
        0s  | open   | a   |                                                                                           |       |
        0s  | plan   | a   | [{"id":"a","tool":"box.set","args":{"id":1}},{"id":"b","tool":"box.set","args":{"id":2}},{"id":"n","tool":"box.send","args":{"id":2}}] | |
        0s  | claim  | a   |                                                                                           |       |
        0s  | commit | a   |                                                                                           |       |
        1s  | step   | a   | a                                                                                         |       |
        1s  | step   | a   | b                                                                                         |       |
        1s  | settle | a   | succeeded                                                                                 |       | c1
        1s  | look   | a   | a held                                                                                    | v1    |
        1s  | undo   | a   | a                                                                                         | v1    |
        1s  | settle | a   | succeeded                                                                                 |       | c2
        1s  | look   | a   | b wrong                                                                                   | v1    |
        1s  | unwind | a   |                                                                                           |       |
        2s  | undo   | a   | n                                                                                         |       |
        2s  | undo   | a   | a                                                                                         | v2    |
        2s  | undo   | a   | b                                                                                         | other |
        2s  | end    | a   |                                                                                           |       |
        3s  | accept | a   |                                                                                           |       |
        3s  | accept | a   |                                                                                           |       |
    "#;
    check(
        boxes(),
        begin,
        expect![[r#"
        at | do     | run | args                                                                                                                                   | key   | call | answer                                               | code                                                         | account                                   | event
        0s | open   | a   |                                                                                                                                        |       |      | a open until 13:00:00                                |                                                              |                                           | run_opened
        0s | plan   | a   | [{"id":"a","tool":"box.set","args":{"id":1}},{"id":"b","tool":"box.set","args":{"id":2}},{"id":"n","tool":"box.send","args":{"id":2}}] |       |      | plan 1 allow: a b n, for good: n                     |                                                              |                                           | plan_proposed allow; phase_changed explore to decide by plan
        0s | claim  | a   |                                                                                                                                        |       |      | done                                                 |                                                              |                                           | claimed
        0s | commit | a   |                                                                                                                                        |       |      | committing: a waiting, b waiting, n outbox           |                                                              | calls 0+11 writes 0+5 final 0+1 usd 0+50  | commit_started
        1s | step   | a   | a                                                                                                                                      |       |      | allow                                                | by desk.may                                                  | calls 0+11 writes 0+5 final 0+1 usd 0+50  | call_decided c1 allow
        1s | step   | a   | b                                                                                                                                      |       |      | allow                                                | by desk.may                                                  | calls 0+11 writes 0+5 final 0+1 usd 0+50  | call_decided c2 allow
        1s | settle | a   | succeeded                                                                                                                              |       | c1   | done                                                 |                                                              | calls 1+10 writes 1+4 final 0+1 usd 10+40 | call_finished c1 succeeded by gate
        1s | look   | a   | a held                                                                                                                                 | v1    |      | committing: a done, b running, n outbox              |                                                              | calls 1+10 writes 1+4 final 0+1 usd 10+40 | step_checked
        1s | undo   | a   | a                                                                                                                                      | v1    |      | deny                                                 | step_not_due (done)                                          | calls 1+10 writes 1+4 final 0+1 usd 10+40 | call_decided c3 deny
        1s | settle | a   | succeeded                                                                                                                              |       | c2   | done                                                 |                                                              | calls 2+9 writes 2+3 final 0+1 usd 20+30  | call_finished c2 succeeded by gate
        1s | look   | a   | b wrong                                                                                                                                | v1    |      | committing: a done, b done, n outbox                 |                                                              | calls 2+9 writes 2+3 final 0+1 usd 20+30  | step_checked
        1s | unwind | a   |                                                                                                                                        |       |      | unwinding: a done, b done, n skipped                 |                                                              | calls 2+9 writes 2+3 final 0+1 usd 20+30  | unwind_started expectation_failed by saga
        2s | undo   | a   | n                                                                                                                                      |       |      | deny                                                 | undo_unknown                                                 | calls 2+9 writes 2+3 final 0+1 usd 20+30  | call_decided c4 deny
        2s | undo   | a   | a                                                                                                                                      | v2    |      | deny                                                 | version_changed (somebody else has changed it since)         | calls 2+9 writes 2+3 final 0+1 usd 20+30  | call_decided c5 deny
        2s | undo   | a   | b                                                                                                                                      | other |      | deny                                                 | plan_deviates (it is not what was kept to take it back with) | calls 2+9 writes 2+3 final 0+1 usd 20+30  | call_decided c6 deny
        2s | end    | a   |                                                                                                                                        |       |      | quarantined: a undo_failed, b undo_failed, n skipped |                                                              | calls 2+0 writes 2+0 usd 20+0             | commit_ended quarantined a stands b stands for support-leads
        3s | accept | a   |                                                                                                                                        |       |      | quarantined: a undo_failed, b undo_failed, n skipped |                                                              | calls 2+0 writes 2+0 usd 20+0             | residue_accepted
        3s | accept | a   |                                                                                                                                        |       |      | refused                                              | nothing_stuck                                                | calls 2+0 writes 2+0 usd 20+0             |
        "#]],
    );
    // Its time is over, or it was kept for another contract of the tool.
    let table = r#"
        at  | do     | run | args                                                                                      | key   | call
        0s  | open   | a   |                                                                                           |       |
        0s  | plan   | a   | [{"id":"a","tool":"box.set","args":{"id":1}},{"id":"b","tool":"box.put","args":{"id":2}}] |       |
        0s  | claim  | a   |                                                                                           | 3h    |
        0s  | commit | a   |                                                                                           |       |
        1s  | step   | a   | a                                                                                         |       |
        1s  | settle | a   | succeeded                                                                                 |       | c1
        1s  | step   | a   | b                                                                                         |       |
        1s  | settle | a   | succeeded                                                                                 |       | c2
        1s  | abort  | a   |                                                                                           |       |
        1s  | reload | a   | box.put                                                                                   |       |
        2h  | undo   | a   | a                                                                                         |       |
        2h  | undo   | a   | b                                                                                         |       |
        2h  | end    | a   |                                                                                           |       |
    "#;
    check(
        boxes(),
        table,
        expect![[r#"
        at | do     | run | args                                                                                      | key | call | answer                                    | code                                    | account                        | event
        0s | open   | a   |                                                                                           |     |      | a open until 13:00:00                     |                                         |                                | run_opened
        0s | plan   | a   | [{"id":"a","tool":"box.set","args":{"id":1}},{"id":"b","tool":"box.put","args":{"id":2}}] |     |      | plan 1 allow: a b                         | b: unguarded                            |                                | plan_proposed allow; phase_changed explore to decide by plan
        0s | claim  | a   |                                                                                           | 3h  |      | done                                      |                                         |                                | claimed
        0s | commit | a   |                                                                                           |     |      | committing: a waiting, b waiting          |                                         | calls 0+8 writes 0+4 usd 0+40  | commit_started
        1s | step   | a   | a                                                                                         |     |      | allow                                     | by desk.may                             | calls 0+8 writes 0+4 usd 0+40  | call_decided c1 allow
        1s | settle | a   | succeeded                                                                                 |     | c1   | done                                      |                                         | calls 1+7 writes 1+3 usd 10+30 | call_finished c1 succeeded by gate
        1s | step   | a   | b                                                                                         |     |      | allow                                     | by desk.may                             | calls 1+7 writes 1+3 usd 10+30 | call_decided c2 allow
        1s | settle | a   | succeeded                                                                                 |     | c2   | done                                      |                                         | calls 2+6 writes 2+2 usd 20+20 | call_finished c2 succeeded by gate
        1s | abort  | a   |                                                                                           |     |      | unwinding: a done, b done                 |                                         | calls 2+6 writes 2+2 usd 20+20 | unwind_started because by desk
        1s | reload | a   | box.put                                                                                   |     |      | done                                      |                                         | calls 2+6 writes 2+2 usd 20+20 |
        2h | undo   | a   | a                                                                                         |     |      | deny                                      | undo_expired (2026-11-21T13:00:01.000Z) | calls 2+6 writes 2+2 usd 20+20 | call_decided c3 deny
        2h | undo   | a   | b                                                                                         |     |      | deny                                      | undo_changed (box.put)                  | calls 2+6 writes 2+2 usd 20+20 | call_decided c4 deny
        2h | end    | a   |                                                                                           |     |      | quarantined: a undo_failed, b undo_failed |                                         | calls 2+0 writes 2+0 usd 20+0  | commit_ended quarantined a stands b stands for support-leads
        "#]],
    );
}

#[test]
fn halts_bind_steps_and_fewer_of_them_undos() {
    let table = r#"
        at  | do     | run | args                                                                                      | key | call
        0s  | open   | a   |                                                                                           |     |
        0s  | plan   | a   | [{"id":"a","tool":"box.put","args":{"id":1}},{"id":"b","tool":"box.set","args":{"id":2}}] |     |
        0s  | claim  | a   |                                                                                           |     |
        0s  | halt   | a   | agent:desk                                                                                |     |
        0s  | commit | a   |                                                                                           |     |
        0s  | resume | a   | agent:desk                                                                                |     |
        0s  | commit | a   |                                                                                           |     |
        1s  | step   | a   | a                                                                                         |     |
        1s  | settle | a   | succeeded                                                                                 |     | c1
        1s  | halt   | a   | agent:desk                                                                                |     |
        1s  | step   | a   | b                                                                                         |     |
        2s  | abort  | a   |                                                                                           | person |
        2s  | halt   | a   | writes                                                                                    |     |
        2s  | undo   | a   | a                                                                                         |     |
        3s  | undo   | a   | a                                                                                         |     |
        3s  | resume | a   | writes                                                                                    |     |
        8s  | halt   | a   | tool:box.put                                                                              |     |
        8s  | undo   | a   | a                                                                                         |     |
        8s  | end    | a   |                                                                                           |     |
    "#;
    check(
        boxes(),
        table,
        expect![[r#"
        at | do     | run | args                                                                                      | key    | call | answer                                | code                                                                       | account                        | event
        0s | open   | a   |                                                                                           |        |      | a open until 13:00:00                 |                                                                            |                                | run_opened
        0s | plan   | a   | [{"id":"a","tool":"box.put","args":{"id":1}},{"id":"b","tool":"box.set","args":{"id":2}}] |        |      | plan 1 allow: a b                     | a: unguarded                                                               |                                | plan_proposed allow; phase_changed explore to decide by plan
        0s | claim  | a   |                                                                                           |        |      | done                                  |                                                                            |                                | claimed
        0s | halt   | a   | agent:desk                                                                                |        |      | done                                  |                                                                            |                                | halted
        0s | commit | a   |                                                                                           |        |      | refused                               | halted (agent:desk, since 2026-11-21T12:00:00.000Z by ann: smoke)          |                                |
        0s | resume | a   | agent:desk                                                                                |        |      | done                                  |                                                                            |                                | resumed
        0s | commit | a   |                                                                                           |        |      | committing: a waiting, b waiting      |                                                                            | calls 0+8 writes 0+4 usd 0+40  | commit_started
        1s | step   | a   | a                                                                                         |        |      | allow                                 | by desk.may                                                                | calls 0+8 writes 0+4 usd 0+40  | call_decided c1 allow
        1s | settle | a   | succeeded                                                                                 |        | c1   | done                                  |                                                                            | calls 1+7 writes 1+3 usd 10+30 | call_finished c1 succeeded by gate
        1s | halt   | a   | agent:desk                                                                                |        |      | done                                  |                                                                            | calls 1+7 writes 1+3 usd 10+30 | halted
        1s | step   | a   | b                                                                                         |        |      | deny                                  | halted (agent:desk, since 2026-11-21T12:00:01.000Z by ann: smoke)          | calls 1+7 writes 1+3 usd 10+30 | call_decided c2 deny
        2s | abort  | a   |                                                                                           | person |      | unwinding: a done, b skipped          |                                                                            | calls 1+7 writes 1+3 usd 10+30 | unwind_started because by ann
        2s | halt   | a   | writes                                                                                    |        |      | done                                  |                                                                            | calls 1+7 writes 1+3 usd 10+30 | halted
        2s | undo   | a   | a                                                                                         |        |      | deny                                  | halted (writes, since 2026-11-21T12:00:02.000Z by ann: smoke) again in 5 s | calls 1+7 writes 1+3 usd 10+30 | call_decided c3 deny
        3s | undo   | a   | a                                                                                         |        |      | deny                                  | halted (writes, since 2026-11-21T12:00:02.000Z by ann: smoke) again in 5 s | calls 1+7 writes 1+3 usd 10+30 | call_decided c4 deny
        3s | resume | a   | writes                                                                                    |        |      | done                                  |                                                                            | calls 1+7 writes 1+3 usd 10+30 | resumed
        8s | halt   | a   | tool:box.put                                                                              |        |      | done                                  |                                                                            | calls 1+7 writes 1+3 usd 10+30 | halted
        8s | undo   | a   | a                                                                                         |        |      | deny                                  | halted (tool:box.put, since 2026-11-21T12:00:08.000Z by ann: smoke)        | calls 1+7 writes 1+3 usd 10+30 | call_decided c5 deny
        8s | end    | a   |                                                                                           |        |      | quarantined: a undo_failed, b skipped |                                                                            | calls 1+0 writes 1+0 usd 10+0  | commit_ended quarantined a stands for support-leads
    "#]],
    );
    let mut book = boxes();
    manifest(&mut book).commits.on_halt = OnHalt::Unwind;
    let table = r#"
        at  | do     | run | args                                                                                      | key | call
        0s  | open   | a   |                                                                                           |     |
        0s  | plan   | a   | [{"id":"a","tool":"box.put","args":{"id":1}},{"id":"b","tool":"box.set","args":{"id":2}}] |     |
        0s  | claim  | a   |                                                                                           |     |
        0s  | commit | a   |                                                                                           |     |
        1s  | step   | a   | a                                                                                         |     |
        1s  | settle | a   | succeeded                                                                                 |     | c1
        1s  | halt   | a   | run:own                                                                                   |     |
        1s  | unwind | a   |                                                                                           |     |
        2s  | undo   | a   | a                                                                                         |     |
        2s  | settle | a   | succeeded                                                                                 |     | c2
        2s  | end    | a   |                                                                                           |     |
    "#;
    check(
        book,
        table,
        expect![[r#"
        at | do     | run | args                                                                                      | key | call | answer                           | code         | account                        | event
        0s | open   | a   |                                                                                           |     |      | a open until 13:00:00            |              |                                | run_opened
        0s | plan   | a   | [{"id":"a","tool":"box.put","args":{"id":1}},{"id":"b","tool":"box.set","args":{"id":2}}] |     |      | plan 1 allow: a b                | a: unguarded |                                | plan_proposed allow; phase_changed explore to decide by plan
        0s | claim  | a   |                                                                                           |     |      | done                             |              |                                | claimed
        0s | commit | a   |                                                                                           |     |      | committing: a waiting, b waiting |              | calls 0+8 writes 0+4 usd 0+40  | commit_started
        1s | step   | a   | a                                                                                         |     |      | allow                            | by desk.may  | calls 0+8 writes 0+4 usd 0+40  | call_decided c1 allow
        1s | settle | a   | succeeded                                                                                 |     | c1   | done                             |              | calls 1+7 writes 1+3 usd 10+30 | call_finished c1 succeeded by gate
        1s | halt   | a   | run:own                                                                                   |     |      | done                             |              | calls 1+7 writes 1+3 usd 10+30 | halted
        1s | unwind | a   |                                                                                           |     |      | unwinding: a done, b skipped     |              | calls 1+7 writes 1+3 usd 10+30 | unwind_started halted by saga
        2s | undo   | a   | a                                                                                         |     |      | allow                            |              | calls 1+7 writes 1+3 usd 10+30 | call_decided c2 allow
        2s | settle | a   | succeeded                                                                                 |     | c2   | done                             |              | calls 2+6 writes 2+2 usd 20+20 | call_finished c2 succeeded by gate
        2s | end    | a   |                                                                                           |     |      | rolled_back: a undone, b skipped |              | calls 2+0 writes 2+0 usd 20+0  | commit_ended rolled_back
    "#]],
    );
}

#[test]
fn a_claim_is_one_runs_at_a_time() {
    let table = r#"
        at  | do      | run | args                                         | key | call
        0s  | open    | a   |                                              |     |
        0s  | open    | b   |                                              |     |
        0s  | plan    | a   | [{"id":"a","tool":"box.put","args":{"id":1}}] |     |
        0s  | claim   | a   |                                              | 10s |
        1s  | plan    | b   | [{"id":"a","tool":"box.put","args":{"id":1}}] |     |
        1s  | claim   | b   |                                              |     |
        1s  | commit  | b   |                                              |     |
        1s  | commit  | a   |                                              |     |
        11s | step    | a   | a                                            |     |
        11s | claim   | b   |                                              |     |
        11s | commit  | b   |                                              |     |
        11s | release | a   |                                              |     |
        11s | step    | b   | a                                            |     |
        11s | claim   | b   | a b c d e f g h i j k l m n o p q r s t u v w x y z aa ab ac ad ae af ag ah ai aj ak al am an ao ap aq ar as at au av aw ax ay az ba bb bc bd be bf bg bh bi bj bk bl | |
        12s | release | b   |                                              |     |
        12s | release | b   |                                              |     |
        12s | claim   | a   |                                              |     |
    "#;
    check(
        boxes(),
        table,
        expect![[r#"
        at  | do      | run | args                                                                                                                                                                  | key | call | answer                | code                                                            | account                       | event
        0s  | open    | a   |                                                                                                                                                                       |     |      | a open until 13:00:00 |                                                                 |                               | run_opened
        0s  | open    | b   |                                                                                                                                                                       |     |      | b open until 13:00:00 |                                                                 |                               | run_opened
        0s  | plan    | a   | [{"id":"a","tool":"box.put","args":{"id":1}}]                                                                                                                         |     |      | plan 1 allow: a       | a: unguarded                                                    |                               | plan_proposed allow; phase_changed explore to decide by plan
        0s  | claim   | a   |                                                                                                                                                                       | 10s |      | done                  |                                                                 |                               | claimed
        1s  | plan    | b   | [{"id":"a","tool":"box.put","args":{"id":1}}]                                                                                                                         |     |      | plan 1 allow: a       | a: unguarded, resource_claimed (run_00000000000000000000000001) |                               | plan_proposed allow; phase_changed explore to decide by plan
        1s  | claim   | b   |                                                                                                                                                                       |     |      | refused               | resource_claimed (run_00000000000000000000000001)               |                               |
        1s  | commit  | b   |                                                                                                                                                                       |     |      | refused               | claim_lost                                                      |                               |
        1s  | commit  | a   |                                                                                                                                                                       |     |      | committing: a waiting |                                                                 | calls 0+3 writes 0+2 usd 0+20 | commit_started
        11s | step    | a   | a                                                                                                                                                                     |     |      | deny                  | claim_lost                                                      | calls 0+3 writes 0+2 usd 0+20 | call_decided c1 deny
        11s | claim   | b   |                                                                                                                                                                       |     |      | done                  |                                                                 |                               | claimed
        11s | commit  | b   |                                                                                                                                                                       |     |      | committing: a waiting |                                                                 | calls 0+3 writes 0+2 usd 0+20 | commit_started
        11s | release | a   |                                                                                                                                                                       |     |      | done                  |                                                                 | calls 0+3 writes 0+2 usd 0+20 |
        11s | step    | b   | a                                                                                                                                                                     |     |      | allow                 | by desk.may                                                     | calls 0+3 writes 0+2 usd 0+20 | call_decided c2 allow
        11s | claim   | b   | a b c d e f g h i j k l m n o p q r s t u v w x y z aa ab ac ad ae af ag ah ai aj ak al am an ao ap aq ar as at au av aw ax ay az ba bb bc bd be bf bg bh bi bj bk bl |     |      | refused               | limit_reached (things that one plan touches) max 64             | calls 0+3 writes 0+2 usd 0+20 |
        12s | release | b   |                                                                                                                                                                       |     |      | done                  |                                                                 | calls 0+3 writes 0+2 usd 0+20 | claims_released
        12s | release | b   |                                                                                                                                                                       |     |      | done                  |                                                                 | calls 0+3 writes 0+2 usd 0+20 |
        12s | claim   | a   |                                                                                                                                                                       |     |      | done                  |                                                                 | calls 0+3 writes 0+2 usd 0+20 | claimed
        "#]],
    );
}

/// Commits one step of `box.set` and closes the run.
#[test]
fn what_was_committed_is_taken_back_within_its_window() {
    let table = r#"
        at   | do        | run | args                                                                                      | key | call
        0s   | open      | a   |                                                                                           |     |
        0s   | plan      | a   | [{"id":"a","tool":"box.set","args":{"id":1}},{"id":"b","tool":"box.put","args":{"id":2},"after":["a"]},{"id":"s","tool":"box.send","args":{"id":2}}] | |
        0s   | take back | a   |                                                                                           |     |
        0s   | claim     | a   |                                                                                           |     |
        0s   | commit    | a   |                                                                                           |     |
        1s   | step      | a   | a                                                                                         |     |
        1s   | settle    | a   | succeeded                                                                                 |     | c1
        1s   | look      | a   | a held                                                                                    | v1  |
        1s   | step      | a   | b                                                                                         |     |
        1s   | settle    | a   | succeeded                                                                                 |     | c2
        6s   | step      | a   | s                                                                                         |     |
        6s   | abort     | a   |                                                                                           |     |
        6s   | settle    | a   | succeeded                                                                                 |     | c3
        6s   | abort     | a   |                                                                                           |     |
        6s   | end       | a   |                                                                                           |     |
        6s   | release   | a   | committed                                                                                 |     |
        6s   | close     | a   |                                                                                           |     |
        7s   | take back | a   | s                                                                                         |     |
        7s   | take back | a   | x                                                                                         |     |
        7s   | take back | a   | a                                                                                         | dry |
        7s   | take back | a   | b                                                                                         |     |
        7s   | undo      | a   | a                                                                                         | v1  |
        7s   | undo      | a   | b                                                                                         |     |
        7s   | settle    | a   | succeeded                                                                                 |     | c5
        7s   | end       | a   |                                                                                           |     |
        2h   | take back | a   |                                                                                           |     |
    "#;
    check(
        boxes(),
        table,
        expect![[r#"
        at | do        | run | args                                                                                                                                                 | key | call | answer                                     | code                                                                  | account                                  | event
        0s | open      | a   |                                                                                                                                                      |     |      | a open until 13:00:00                      |                                                                       |                                          | run_opened
        0s | plan      | a   | [{"id":"a","tool":"box.set","args":{"id":1}},{"id":"b","tool":"box.put","args":{"id":2},"after":["a"]},{"id":"s","tool":"box.send","args":{"id":2}}] |     |      | plan 1 allow: a b s, for good: s           | b: unguarded                                                          |                                          | plan_proposed allow; phase_changed explore to decide by plan
        0s | take back | a   |                                                                                                                                                      |     |      | refused                                    | cannot_unwind (nothing of this run is committed and stands)           |                                          |
        0s | claim     | a   |                                                                                                                                                      |     |      | done                                       |                                                                       |                                          | claimed
        0s | commit    | a   |                                                                                                                                                      |     |      | committing: a waiting, b waiting, s outbox |                                                                       | calls 0+9 writes 0+5 final 0+1 usd 0+50  | commit_started
        1s | step      | a   | a                                                                                                                                                    |     |      | allow                                      | by desk.may                                                           | calls 0+9 writes 0+5 final 0+1 usd 0+50  | call_decided c1 allow
        1s | settle    | a   | succeeded                                                                                                                                            |     | c1   | done                                       |                                                                       | calls 1+8 writes 1+4 final 0+1 usd 10+40 | call_finished c1 succeeded by gate
        1s | look      | a   | a held                                                                                                                                               | v1  |      | committing: a done, b waiting, s outbox    |                                                                       | calls 1+8 writes 1+4 final 0+1 usd 10+40 | step_checked
        1s | step      | a   | b                                                                                                                                                    |     |      | allow                                      | by desk.may                                                           | calls 1+8 writes 1+4 final 0+1 usd 10+40 | call_decided c2 allow
        1s | settle    | a   | succeeded                                                                                                                                            |     | c2   | done                                       |                                                                       | calls 2+7 writes 2+3 final 0+1 usd 20+30 | call_finished c2 succeeded by gate
        6s | step      | a   | s                                                                                                                                                    |     |      | allow                                      | by desk.may                                                           | calls 2+7 writes 2+3 final 0+1 usd 20+30 | call_decided c3 allow
        6s | abort     | a   |                                                                                                                                                      |     |      | refused                                    | cannot_unwind (a step was done, or may be, that cannot be taken back) | calls 2+7 writes 2+3 final 0+1 usd 20+30 |
        6s | settle    | a   | succeeded                                                                                                                                            |     | c3   | done                                       |                                                                       | calls 3+6 writes 3+2 final 1+0 usd 30+20 | call_finished c3 succeeded by gate
        6s | abort     | a   |                                                                                                                                                      |     |      | refused                                    | cannot_unwind (a step was done, or may be, that cannot be taken back) | calls 3+6 writes 3+2 final 1+0 usd 30+20 |
        6s | end       | a   |                                                                                                                                                      |     |      | committed: a done, b done, s done          |                                                                       | calls 3+0 writes 3+0 final 1+0 usd 30+0  | commit_ended committed
        6s | release   | a   | committed                                                                                                                                            |     |      | done                                       |                                                                       | calls 3+0 writes 3+0 final 1+0 usd 30+0  | claims_released
        6s | close     | a   |                                                                                                                                                      |     |      | done                                       |                                                                       |                                          | run_closed success by ann
        7s | take back | a   | s                                                                                                                                                    |     |      | refused                                    | cannot_unwind (step `s` leaves no way back)                           |                                          |
        7s | take back | a   | x                                                                                                                                                    |     |      | refused                                    | cannot_unwind (no step `x` of it stands)                              |                                          |
        7s | take back | a   | a                                                                                                                                                    | dry |      | would take back [1, 0]                     |                                                                       |                                          |
        7s | take back | a   | b                                                                                                                                                    |     |      | unwinding: a done, b done, s done          |                                                                       |                                          | unwind_started because by ann
        7s | undo      | a   | a                                                                                                                                                    | v1  |      | deny                                       | step_not_due (done)                                                   |                                          | call_decided c4 deny
        7s | undo      | a   | b                                                                                                                                                    |     |      | allow                                      |                                                                       |                                          | call_decided c5 allow
        7s | settle    | a   | succeeded                                                                                                                                            |     | c5   | done                                       |                                                                       |                                          | call_finished c5 succeeded by gate
        7s | end       | a   |                                                                                                                                                      |     |      | committed: a done, b undone, s done        |                                                                       |                                          | commit_ended committed
        2h | take back | a   |                                                                                                                                                      |     |      | refused                                    | undo_expired (step `a`, until 2026-11-21T13:00:01.000Z)               |                                          |
    "#]],
    );
}

#[test]
fn later_runs_bar_the_way_back() {
    let table = r#"
        at  | do        | run | args                                          | key | call
        0s  | open      | a   |                                               |     |
        0s  | plan      | a   | [{"id":"a","tool":"box.put","args":{"id":1}}] |     |
        0s  | claim     | a   |                                               |     |
        0s  | commit    | a   |                                               |     |
        1s  | step      | a   | a                                             |     |
        1s  | settle    | a   | succeeded                                     |     | c1
        1s  | end       | a   |                                               |     |
        1s  | release   | a   | committed                                     |     |
        2s  | open      | b   |                                               |     |
        2s  | plan      | b   | [{"id":"a","tool":"box.put","args":{"id":1}}] |     |
        2s  | claim     | b   |                                               |     |
        2s  | commit    | b   |                                               |     |
        2s  | take back | a   |                                               |     |
        3s  | step      | b   | a                                             |     |
        3s  | settle    | b   | succeeded                                     |     | c2
        3s  | end       | b   |                                               |     |
        3s  | release   | b   | committed                                     |     |
        4s  | take back | a   |                                               |     |
        4s  | take back | b   |                                               |     |
        4s  | undo      | b   | a                                             |     |
        4s  | settle    | b   | succeeded                                     |     | c3
        4s  | end       | b   |                                               |     |
    "#;
    check(
        boxes(),
        table,
        expect![[r#"
        at | do        | run | args                                          | key | call | answer                | code                                              | account                        | event
        0s | open      | a   |                                               |     |      | a open until 13:00:00 |                                                   |                                | run_opened
        0s | plan      | a   | [{"id":"a","tool":"box.put","args":{"id":1}}] |     |      | plan 1 allow: a       | a: unguarded                                      |                                | plan_proposed allow; phase_changed explore to decide by plan
        0s | claim     | a   |                                               |     |      | done                  |                                                   |                                | claimed
        0s | commit    | a   |                                               |     |      | committing: a waiting |                                                   | calls 0+3 writes 0+2 usd 0+20  | commit_started
        1s | step      | a   | a                                             |     |      | allow                 | by desk.may                                       | calls 0+3 writes 0+2 usd 0+20  | call_decided c1 allow
        1s | settle    | a   | succeeded                                     |     | c1   | done                  |                                                   | calls 1+2 writes 1+1 usd 10+10 | call_finished c1 succeeded by gate
        1s | end       | a   |                                               |     |      | committed: a done     |                                                   | calls 1+0 writes 1+0 usd 10+0  | commit_ended committed
        1s | release   | a   | committed                                     |     |      | done                  |                                                   | calls 1+0 writes 1+0 usd 10+0  | claims_released
        2s | open      | b   |                                               |     |      | b open until 13:00:02 |                                                   |                                | run_opened
        2s | plan      | b   | [{"id":"a","tool":"box.put","args":{"id":1}}] |     |      | plan 1 allow: a       | a: unguarded                                      |                                | plan_proposed allow; phase_changed explore to decide by plan
        2s | claim     | b   |                                               |     |      | done                  |                                                   |                                | claimed
        2s | commit    | b   |                                               |     |      | committing: a waiting |                                                   | calls 0+3 writes 0+2 usd 0+20  | commit_started
        2s | take back | a   |                                               |     |      | refused               | resource_claimed (run_00000000000000000000000002) | calls 1+0 writes 1+0 usd 10+0  |
        3s | step      | b   | a                                             |     |      | allow                 | by desk.may                                       | calls 0+3 writes 0+2 usd 0+20  | call_decided c2 allow
        3s | settle    | b   | succeeded                                     |     | c2   | done                  |                                                   | calls 1+2 writes 1+1 usd 10+10 | call_finished c2 succeeded by gate
        3s | end       | b   |                                               |     |      | committed: a done     |                                                   | calls 1+0 writes 1+0 usd 10+0  | commit_ended committed
        3s | release   | b   | committed                                     |     |      | done                  |                                                   | calls 1+0 writes 1+0 usd 10+0  | claims_released
        4s | take back | a   |                                               |     |      | refused               | touched_later (run_00000000000000000000000002)    | calls 1+0 writes 1+0 usd 10+0  |
        4s | take back | b   |                                               |     |      | unwinding: a done     |                                                   | calls 1+0 writes 1+0 usd 10+0  | unwind_started because by ann
        4s | undo      | b   | a                                             |     |      | allow                 |                                                   | calls 1+1 writes 1+1 usd 10+10 | call_decided c3 allow
        4s | settle    | b   | succeeded                                     |     | c3   | done                  |                                                   | calls 2+0 writes 2+0 usd 20+0  | call_finished c3 succeeded by gate
        4s | end       | b   |                                               |     |      | rolled_back: a undone |                                                   | calls 2+0 writes 2+0 usd 20+0  | commit_ended rolled_back
        "#]],
    );
}

#[test]
fn a_person_says_what_nobody_knows_and_accepts_what_is_left() {
    let table = r#"
        at  | do      | run | args                                                                                           | key | call
        0s  | open    | a   |                                                                                                |     |
        0s  | plan    | a   | [{"id":"a","tool":"box.put","args":{"id":1}},{"id":"b","tool":"box.probed","args":{"id":2}},{"id":"c","tool":"box.send","args":{"id":2}}] | |
        0s  | claim   | a   |                                                                                                |     |
        0s  | commit  | a   |                                                                                                |     |
        1s  | accept  | a   |                                                                                                |     |
        1s  | step    | a   | a                                                                                              |     |
        1s  | step    | a   | b                                                                                              |     |
        1s  | restart |     |                                                                                                |     |
        2s  | take back | a   |                                                                                              |     |
        2s  | close   | a   |                                                                                                |     |
        2s  | plan    | a   | [{"id":"z","tool":"box.put","args":{"id":9}}]                                                  |     |
        2s  | commit  | a   |                                                                                                |     |
        2s  | look    | a   | a there                                                                                        |     |
        2s  | look    | a   | b nobody                                                                                       |     |
        4s  | look    | a   | b there                                                                                        |     |
        4s  | resolve | a   | done                                                                                           |     | c9
        4s  | resolve | a   | done                                                                                           |     | c1
        5s  | look    | a   | c barred                                                                                       |     |
        5s  | unwind  | a   |                                                                                                |     |
        6s  | undo    | a   | a                                                                                              |     |
        6s  | undo    | a   | b                                                                                              |     |
        6s  | restart |     |                                                                                                |     |
        7s  | look    | a   | b gone                                                                                         |     |
        7s  | end     | a   |                                                                                                |     |
        8s  | resolve | a   | not                                                                                            |     | c3
        8s  | accept  | a   |                                                                                                |     |
        8s  | close   | a   |                                                                                                |     |
    "#;
    check(
        boxes(),
        table,
        expect![[r#"
        at | do        | run | args                                                                                                                                      | key | call | answer                                     | code                                               | account                                  | event
        0s | open      | a   |                                                                                                                                           |     |      | a open until 13:00:00                      |                                                    |                                          | run_opened
        0s | plan      | a   | [{"id":"a","tool":"box.put","args":{"id":1}},{"id":"b","tool":"box.probed","args":{"id":2}},{"id":"c","tool":"box.send","args":{"id":2}}] |     |      | plan 1 allow: a b c, for good: c           | a: unguarded; b: unguarded                         |                                          | plan_proposed allow; phase_changed explore to decide by plan
        0s | claim     | a   |                                                                                                                                           |     |      | done                                       |                                                    |                                          | claimed
        0s | commit    | a   |                                                                                                                                           |     |      | committing: a waiting, b waiting, c outbox |                                                    | calls 0+6 writes 0+5 final 0+1 usd 0+50  | commit_started
        1s | accept    | a   |                                                                                                                                           |     |      | refused                                    | nothing_stuck                                      | calls 0+6 writes 0+5 final 0+1 usd 0+50  |
        1s | step      | a   | a                                                                                                                                         |     |      | allow                                      | by desk.may                                        | calls 0+6 writes 0+5 final 0+1 usd 0+50  | call_decided c1 allow
        1s | step      | a   | b                                                                                                                                         |     |      | allow                                      | by desk.may                                        | calls 0+6 writes 0+5 final 0+1 usd 0+50  | call_decided c2 allow
        1s | restart   |     |                                                                                                                                           |     |      | done                                       |                                                    |                                          | call_finished c1 unknown by restart; call_finished c2 unknown by restart
        2s | take back | a   |                                                                                                                                           |     |      | refused                                    | plan_stuck (`a` (call_00000000000000000000000001)) | calls 0+6 writes 0+5 final 0+1 usd 0+50  |
        2s | close     | a   |                                                                                                                                           |     |      | refused                                    | plan_stuck (`a` (call_00000000000000000000000001)) | calls 0+6 writes 0+5 final 0+1 usd 0+50  |
        2s | plan      | a   | [{"id":"z","tool":"box.put","args":{"id":9}}]                                                                                             |     |      | refused                                    | plan_stuck (`a` (call_00000000000000000000000001)) | calls 0+6 writes 0+5 final 0+1 usd 0+50  |
        2s | commit    | a   |                                                                                                                                           |     |      | refused                                    | plan_stuck (`a` (call_00000000000000000000000001)) | calls 0+6 writes 0+5 final 0+1 usd 0+50  |
        2s | look      | a   | a there                                                                                                                                   |     |      | committing: a done, b unknown, c outbox    |                                                    | calls 1+5 writes 1+4 final 0+1 usd 10+40 | call_finished c1 succeeded by probe; step_checked
        2s | look      | a   | b nobody                                                                                                                                  |     |      | committing: a done, b unknown, c outbox    |                                                    | calls 1+5 writes 1+4 final 0+1 usd 10+40 | step_checked
        4s | look      | a   | b there                                                                                                                                   |     |      | committing: a done, b done, c outbox       |                                                    | calls 2+4 writes 2+3 final 0+1 usd 20+30 | call_finished c2 succeeded by probe; step_checked
        4s | resolve   | a   | done                                                                                                                                      |     | c9   | refused                                    | call_unknown                                       | calls 2+4 writes 2+3 final 0+1 usd 20+30 |
        4s | resolve   | a   | done                                                                                                                                      |     | c1   | refused                                    | call_unknown                                       | calls 2+4 writes 2+3 final 0+1 usd 20+30 |
        5s | look      | a   | c barred                                                                                                                                  |     |      | committing: a done, b done, c failed       |                                                    | calls 2+4 writes 2+3 final 0+1 usd 20+30 | step_checked
        5s | unwind    | a   |                                                                                                                                           |     |      | unwinding: a done, b done, c failed        |                                                    | calls 2+4 writes 2+3 final 0+1 usd 20+30 | unwind_started no_such_result by saga
        6s | undo      | a   | a                                                                                                                                         |     |      | allow                                      |                                                    | calls 2+4 writes 2+3 final 0+1 usd 20+30 | call_decided c3 allow
        6s | undo      | a   | b                                                                                                                                         |     |      | allow                                      |                                                    | calls 2+4 writes 2+3 final 0+1 usd 20+30 | call_decided c4 allow
        6s | restart   |     |                                                                                                                                           |     |      | done                                       |                                                    |                                          | call_finished c3 unknown by restart; call_finished c4 unknown by restart
        7s | look      | a   | b gone                                                                                                                                    |     |      | unwinding: a undoing, b undone, c failed   |                                                    | calls 3+3 writes 3+2 final 0+1 usd 30+20 | call_finished c4 succeeded by probe; step_checked
        7s | end       | a   |                                                                                                                                           |     |      | quarantined: a undoing, b undone, c failed |                                                    | calls 3+1 writes 3+1 usd 30+10           | commit_ended quarantined a unknown for support-leads
        8s | resolve   | a   | not                                                                                                                                       |     | c3   | done                                       |                                                    | calls 3+0 writes 3+0 usd 30+0            | call_finished c3 failed by ann
        8s | accept    | a   |                                                                                                                                           |     |      | quarantined: a done, b undone, c failed    |                                                    | calls 3+0 writes 3+0 usd 30+0            | residue_accepted
        8s | close     | a   |                                                                                                                                           |     |      | done                                       |                                                    |                                          | run_closed success by ann
        "#]],
    );
    let table = r#"
        at  | do      | run | args                                          | key | call
        0s  | open    | a   |                                               |     |
        0s  | plan    | a   | [{"id":"a","tool":"box.put","args":{"id":1}}] |     |
        0s  | claim   | a   |                                               |     |
        0s  | commit  | a   |                                               |     |
        1s  | step    | a   | a                                             |     |
        1s  | settle  | a   | unknown                                       |     | c1
        1s  | end     | a   |                                               |     |
        2s  | accept  | a   |                                               |     |
        3s  | accept  | a   |                                               |     |
        3s  | resolve | a   | not                                           |     | c1
    "#;
    check(
        boxes(),
        table,
        expect![[r#"
        at | do      | run | args                                          | key | call | answer                 | code                      | account                       | event
        0s | open    | a   |                                               |     |      | a open until 13:00:00  |                           |                               | run_opened
        0s | plan    | a   | [{"id":"a","tool":"box.put","args":{"id":1}}] |     |      | plan 1 allow: a        | a: unguarded              |                               | plan_proposed allow; phase_changed explore to decide by plan
        0s | claim   | a   |                                               |     |      | done                   |                           |                               | claimed
        0s | commit  | a   |                                               |     |      | committing: a waiting  |                           | calls 0+3 writes 0+2 usd 0+20 | commit_started
        1s | step    | a   | a                                             |     |      | allow                  | by desk.may               | calls 0+3 writes 0+2 usd 0+20 | call_decided c1 allow
        1s | settle  | a   | unknown                                       |     | c1   | done                   |                           | calls 0+3 writes 0+2 usd 0+20 | call_finished c1 unknown by gate
        1s | end     | a   |                                               |     |      | refused                | step_not_due (committing) | calls 0+3 writes 0+2 usd 0+20 |
        2s | accept  | a   |                                               |     |      | quarantined: a unknown |                           | calls 0+1 writes 0+1 usd 0+10 | commit_ended quarantined a unknown for support-leads; residue_accepted
        3s | accept  | a   |                                               |     |      | refused                | nothing_stuck             | calls 0+1 writes 0+1 usd 0+10 |
        3s | resolve | a   | not                                           |     | c1   | done                   |                           |                               | call_finished c1 failed by ann
    "#]],
    );
}

#[test]
fn the_agent_may_mend_what_failed() {
    let mut book = boxes();
    manifest(&mut book).commits.on_failure = OnFailure::PauseForReplan;
    let table = r#"
        at  | do         | run | args                                                                                      | key | call
        0s  | open       | a   |                                                                                           |     |
        0s  | plan       | a   | [{"id":"a","tool":"box.put","args":{"id":1}},{"id":"b","tool":"box.put","args":{"id":2},"after":["a"]}] | |
        0s  | claim      | a   |                                                                                           |     |
        0s  | commit     | a   |                                                                                           |     |
        1s  | step       | a   | a                                                                                         |     |
        1s  | settle     | a   | succeeded                                                                                 |     | c1
        1s  | pause plan | a   |                                                                                           |     |
        1s  | step       | a   | b                                                                                         |     |
        1s  | settle     | a   | failed                                                                                    |     | c2
        1s  | pause plan | a   |                                                                                           |     |
        2s  | close      | a   |                                                                                           |     |
        2s  | plan       | a   | [{"id":"b","tool":"box.put","args":{"id":3}}]                                             |     |
        2s  | plan       | a   | [{"id":"a","tool":"box.put","args":{"id":1}},{"id":"c","tool":"box.put","args":{"id":3},"after":["a"]}] | |
        2s  | claim      | a   |                                                                                           |     |
        2s  | commit     | a   |                                                                                           |     |
        2s  | step       | a   | a                                                                                         |     |
        2s  | step       | a   | c                                                                                         |     |
        3s  | settle     | a   | failed                                                                                    |     | c4
        3s  | pause plan | a   |                                                                                           |     |
        4s  | abort      | a   |                                                                                           |     |
        4s  | undo       | a   | a                                                                                         |     |
        4s  | settle     | a   | succeeded                                                                                 |     | c5
        4s  | end        | a   |                                                                                           |     |
    "#;
    check(
        book,
        table,
        expect![[r#"
        at | do         | run | args                                                                                                    | key | call | answer                           | code                                                                | account                        | event
        0s | open       | a   |                                                                                                         |     |      | a open until 13:00:00            |                                                                     |                                | run_opened
        0s | plan       | a   | [{"id":"a","tool":"box.put","args":{"id":1}},{"id":"b","tool":"box.put","args":{"id":2},"after":["a"]}] |     |      | plan 1 allow: a b                | a: unguarded; b: unguarded                                          |                                | plan_proposed allow; phase_changed explore to decide by plan
        0s | claim      | a   |                                                                                                         |     |      | done                             |                                                                     |                                | claimed
        0s | commit     | a   |                                                                                                         |     |      | committing: a waiting, b waiting |                                                                     | calls 0+6 writes 0+4 usd 0+40  | commit_started
        1s | step       | a   | a                                                                                                       |     |      | allow                            | by desk.may                                                         | calls 0+6 writes 0+4 usd 0+40  | call_decided c1 allow
        1s | settle     | a   | succeeded                                                                                               |     | c1   | done                             |                                                                     | calls 1+5 writes 1+3 usd 10+30 | call_finished c1 succeeded by gate
        1s | pause plan | a   |                                                                                                         |     |      | refused                          | step_not_due (committing)                                           | calls 1+5 writes 1+3 usd 10+30 |
        1s | step       | a   | b                                                                                                       |     |      | allow                            | by desk.may                                                         | calls 1+5 writes 1+3 usd 10+30 | call_decided c2 allow
        1s | settle     | a   | failed                                                                                                  |     | c2   | done                             |                                                                     | calls 2+4 writes 2+2 usd 10+20 | call_finished c2 failed by gate
        1s | pause plan | a   |                                                                                                         |     |      | paused: a done, b failed         |                                                                     | calls 2+4 writes 2+2 usd 10+20 | phase_changed commit to decide by failure
        2s | close      | a   |                                                                                                         |     |      | refused                          | commit_under_way                                                    | calls 2+4 writes 2+2 usd 10+20 |
        2s | plan       | a   | [{"id":"b","tool":"box.put","args":{"id":3}}]                                                           |     |      | refused                          | plan_invalid at /steps (step `a` stands, so it must stay as it was) | calls 2+4 writes 2+2 usd 10+20 |
        2s | plan       | a   | [{"id":"a","tool":"box.put","args":{"id":1}},{"id":"c","tool":"box.put","args":{"id":3},"after":["a"]}] |     |      | plan 2 allow: a c                | a: unguarded; c: unguarded                                          | calls 2+4 writes 2+2 usd 10+20 | plan_proposed allow
        2s | claim      | a   |                                                                                                         |     |      | done                             |                                                                     | calls 2+4 writes 2+2 usd 10+20 | claimed
        2s | commit     | a   |                                                                                                         |     |      | committing: a done, c waiting    |                                                                     | calls 2+4 writes 2+3 usd 10+30 | commit_started
        2s | step       | a   | a                                                                                                       |     |      | deny                             | step_not_due (done)                                                 | calls 2+4 writes 2+3 usd 10+30 | call_decided c3 deny
        2s | step       | a   | c                                                                                                       |     |      | allow                            | by desk.may                                                         | calls 2+4 writes 2+3 usd 10+30 | call_decided c4 allow
        3s | settle     | a   | failed                                                                                                  |     | c4   | done                             |                                                                     | calls 3+3 writes 3+2 usd 10+20 | call_finished c4 failed by gate
        3s | pause plan | a   |                                                                                                         |     |      | paused: a done, c failed         |                                                                     | calls 3+3 writes 3+2 usd 10+20 | phase_changed commit to decide by failure
        4s | abort      | a   |                                                                                                         |     |      | unwinding: a done, c failed      |                                                                     | calls 3+3 writes 3+2 usd 10+20 | unwind_started because by desk
        4s | undo       | a   | a                                                                                                       |     |      | allow                            |                                                                     | calls 3+3 writes 3+2 usd 10+20 | call_decided c5 allow
        4s | settle     | a   | succeeded                                                                                               |     | c5   | done                             |                                                                     | calls 4+2 writes 4+1 usd 20+10 | call_finished c5 succeeded by gate
        4s | end        | a   |                                                                                                         |     |      | rolled_back: a undone, c failed  |                                                                     | calls 4+0 writes 4+0 usd 20+0  | commit_ended rolled_back
        "#]],
    );
}

#[test]
fn a_gate_that_says_decide_stops_a_plan() {
    let mut book = boxes();
    manifest(&mut book).per_run.usd_nanos = Some(50);
    let table = r#"
        at | do     | run | args                                                                                      | call
        0s | open   | a   |                                                                                           |
        0s | plan   | a   | [{"id":"a","tool":"box.put","args":{"id":1}},{"id":"b","tool":"box.put","args":{"id":2}}] |
        1s | claim  | a   |                                                                                           |
        1s | commit | a   |                                                                                           |
        2s | step   | a   | a                                                                                         |
        2s | settle | a   | succeeded                                                                                 | c1
        2s | step   | a   | b                                                                                         |
        3s | commit | a   |                                                                                           |
        3s | step   | a   | b                                                                                         |
    "#;
    check(
        book,
        table,
        expect![[r#"
        at | do     | run | args                                                                                      | call | answer                           | code                       | account                        | event
        0s | open   | a   |                                                                                           |      | a open until 13:00:00            |                            |                                | run_opened
        0s | plan   | a   | [{"id":"a","tool":"box.put","args":{"id":1}},{"id":"b","tool":"box.put","args":{"id":2}}] |      | plan 1 allow: a b                | a: unguarded; b: unguarded |                                | plan_proposed allow; phase_changed explore to decide by plan
        1s | claim  | a   |                                                                                           |      | done                             |                            |                                | claimed
        1s | commit | a   |                                                                                           |      | committing: a waiting, b waiting |                            | calls 0+6 writes 0+4 usd 0+40  | commit_started
        2s | step   | a   | a                                                                                         |      | allow                            | by desk.may                | calls 0+6 writes 0+4 usd 0+40  | call_decided c1 allow; threshold_crossed 75 decide; phase_changed commit to decide by gates
        2s | settle | a   | succeeded                                                                                 | c1   | done                             |                            | calls 1+5 writes 1+3 usd 10+30 | call_finished c1 succeeded by gate
        2s | step   | a   | b                                                                                         |      | deny                             | step_not_due (waiting)     | calls 1+5 writes 1+3 usd 10+30 | call_decided c2 deny
        3s | commit | a   |                                                                                           |      | committing: a done, b waiting    |                            | calls 1+6 writes 1+4 usd 10+40 | commit_started
        3s | step   | a   | b                                                                                         |      | allow                            | by desk.may                | calls 1+6 writes 1+4 usd 10+40 | call_decided c3 allow; threshold_crossed 100 stop
    "#]],
    );
}

#[test]
fn a_plan_from_before_such_a_gate_is_proposed_again() {
    let mut book = boxes();
    manifest(&mut book).per_run.calls = Some(12);
    let table = r#"
        at | do     | run | agent | tool    | args
        0s | open   | a   | desk  |         |
        1s | plan   | a   | desk  |         | [{"id":"a","tool":"box.put","args":{"id":1}}]
        1s | claim  | a   | desk  |         |
        2s | call   | a   | desk  | box.get | {"id":1}
        2s | call   | a   | desk  | box.get | {"id":2}
        2s | call   | a   | desk  | box.get | {"id":3}
        2s | call   | a   | desk  | box.get | {"id":4}
        2s | call   | a   | desk  | box.get | {"id":5}
        2s | call   | a   | desk  | box.get | {"id":6}
        2s | call   | a   | desk  | box.get | {"id":7}
        2s | call   | a   | desk  | box.get | {"id":8}
        2s | call   | a   | desk  | box.get | {"id":9}
        3s | commit | a   | desk  |         |
        4s | plan   | a   | desk  |         | [{"id":"a","tool":"box.put","args":{"id":1}}]
        4s | claim  | a   | desk  |         |
        4s | commit | a   | desk  |         |
    "#;
    check(
        book,
        table,
        expect![[r#"
        at | do     | run | agent | tool    | args                                          | answer                | code         | account                        | event
        0s | open   | a   | desk  |         |                                               | a open until 13:00:00 |              |                                | run_opened
        1s | plan   | a   | desk  |         | [{"id":"a","tool":"box.put","args":{"id":1}}] | plan 1 allow: a       | a: unguarded |                                | plan_proposed allow; phase_changed explore to decide by plan
        1s | claim  | a   | desk  |         |                                               | done                  |              |                                | claimed
        2s | call   | a   | desk  | box.get | {"id":1}                                      | allow                 | by desk.may  | calls 0+1                      | call_decided c1 allow
        2s | call   | a   | desk  | box.get | {"id":2}                                      | allow                 | by desk.may  | calls 0+2                      | call_decided c2 allow
        2s | call   | a   | desk  | box.get | {"id":3}                                      | allow                 | by desk.may  | calls 0+3                      | call_decided c3 allow
        2s | call   | a   | desk  | box.get | {"id":4}                                      | allow                 | by desk.may  | calls 0+4                      | call_decided c4 allow
        2s | call   | a   | desk  | box.get | {"id":5}                                      | allow                 | by desk.may  | calls 0+5                      | call_decided c5 allow
        2s | call   | a   | desk  | box.get | {"id":6}                                      | allow                 | by desk.may  | calls 0+6                      | call_decided c6 allow; threshold_crossed 50 degrade
        2s | call   | a   | desk  | box.get | {"id":7}                                      | allow                 | by desk.may  | calls 0+7                      | call_decided c7 allow
        2s | call   | a   | desk  | box.get | {"id":8}                                      | allow                 | by desk.may  | calls 0+8                      | call_decided c8 allow
        2s | call   | a   | desk  | box.get | {"id":9}                                      | allow                 | by desk.may  | calls 0+9                      | call_decided c9 allow; threshold_crossed 75 decide
        3s | commit | a   | desk  |         |                                               | refused               | plan_stale   | calls 0+9                      |
        4s | plan   | a   | desk  |         | [{"id":"a","tool":"box.put","args":{"id":1}}] | plan 2 allow: a       | a: unguarded | calls 0+9                      | plan_proposed allow
        4s | claim  | a   | desk  |         |                                               | done                  |              | calls 0+9                      | claimed
        4s | commit | a   | desk  |         |                                               | committing: a waiting |              | calls 0+12 writes 0+2 usd 0+20 | commit_started
    "#]],
    );
}

#[test]
fn reads_come_before_writes() {
    let mut book = boxes();
    let same = |of: &str, is: &str| [(of.to_owned(), is.to_owned())].into();
    manifest(&mut book).phases = false;
    manifest(&mut book).commits.before = vec![Before {
        read: "crm.lookup".into(),
        same: same("args.id", "result.customer"),
        tool: "box.*".into(),
        within_ms: Some(60_000),
    }];
    let table = r#"
        at  | do     | run | tool       | args                                          | key                    | call
        0s  | open   | a   |            |                                               |                        |
        0s  | call   | a   | box.put    | {"id":1}                                      |                        |
        0s  | call   | a   | crm.lookup | {"id":"7"}                                    |                        |
        1s  | settle | a   |            | succeeded                                     | tells {"customer":1}   | c2
        1s  | call   | a   | box.put    | {"id":1}                                      |                        |
        1s  | call   | a   | box.put    | {"id":2}                                      |                        |
        1s  | plan   | a   |            | [{"id":"a","tool":"box.put","args":{"id":1}}] |                        |
        1s  | plan   | a   |            | [{"id":"a","tool":"box.put","args":{"id":2}}] |                        |
        61s | call   | a   | box.put    | {"id":1}                                      |                        |
        62s | call   | a   | crm.lookup | {"id":"7"}                                    |                        |
        62s | settle | a   |            | failed                                        | tells {"other":1}      | c6
        62s | call   | a   | box.put    | {"id":1}                                      |                        |
    "#;
    check(
        book,
        table,
        expect![[r#"
        at  | do     | run | tool       | args                                          | key                  | call | answer                | code                                     | account                       | event
        0s  | open   | a   |            |                                               |                      |      | a open until 13:00:00 |                                          |                               | run_opened
        0s  | call   | a   | box.put    | {"id":1}                                      |                      |      | deny                  | read_required (crm.lookup)               |                               | call_decided c1 deny
        0s  | call   | a   | crm.lookup | {"id":"7"}                                    |                      |      | allow                 | by desk.may                              | calls 0+1                     | call_decided c2 allow
        1s  | settle | a   |            | succeeded                                     | tells {"customer":1} | c2   | done                  |                                          | calls 1+0                     | call_finished c2 succeeded by gate
        1s  | call   | a   | box.put    | {"id":1}                                      |                      |      | allow                 | by desk.may                              | calls 1+1 writes 0+1 usd 0+10 | call_decided c3 allow
        1s  | call   | a   | box.put    | {"id":2}                                      |                      |      | deny                  | read_required (crm.lookup)               | calls 1+1 writes 0+1 usd 0+10 | call_decided c4 deny
        1s  | plan   | a   |            | [{"id":"a","tool":"box.put","args":{"id":1}}] |                      |      | plan 1 allow: a       | a: unguarded                             | calls 1+1 writes 0+1 usd 0+10 | plan_proposed allow; phase_changed explore to decide by plan
        1s  | plan   | a   |            | [{"id":"a","tool":"box.put","args":{"id":2}}] |                      |      | plan 2 deny: a        | a: unguarded, read_required (crm.lookup) | calls 1+1 writes 0+1 usd 0+10 | plan_proposed deny
        61s | call   | a   | box.put    | {"id":1}                                      |                      |      | deny                  | read_required (crm.lookup)               | calls 1+1 writes 0+1 usd 0+10 | call_decided c5 deny
        62s | call   | a   | crm.lookup | {"id":"7"}                                    |                      |      | allow                 | by desk.may                              | calls 1+2 writes 0+1 usd 0+10 | call_decided c6 allow
        62s | settle | a   |            | failed                                        | tells {"other":1}    | c6   | done                  |                                          | calls 2+1 writes 0+1 usd 0+10 | call_finished c6 failed by gate
        62s | call   | a   | box.put    | {"id":1}                                      |                      |      | deny                  | read_required (crm.lookup)               | calls 2+1 writes 0+1 usd 0+10 | call_decided c7 deny
    "#]],
    );
}

#[test]
fn companions_have_the_contract_for_their_authority() {
    let mut book = with_rule(boxes(), r#"forbid (principal, action == Remit::Action::"box.get", resource);"#);
    book.tools.get_mut("box.probed").unwrap().deed.preview =
        Some(Companion { args: json!({}), tool: "box.unset".into() });
    let table = r#"
        at | do     | run | args                                          | tool      | key        | agent | call
        0s | open   | a   |                                               |           |            |       |
        0s | call   | a   | {"id":1}                                      | box.get   |            |       |
        0s | read   | a   | - preview                                     | box.get   | box.set    |       |
        0s | read   | a   | - preview                                     | box.get   | box.put    |       |
        0s | read   | a   | - preview                                     | box.put   | box.set    |       |
        0s | read   | a   | - preview                                     | box.unset | box.probed |       |
        0s | read   | a   | - preview                                     | box.get   | box.set    | other |
        0s | plan   | a   | [{"id":"a","tool":"box.put","args":{"id":1}}] |           |            |       |
        0s | claim  | a   |                                               |           |            |       |
        0s | commit | a   |                                               |           |            |       |
        0s | read   | a   | a before                                      | box.get   | box.put    |       |
        0s | settle | a   | succeeded                                     |           |            |       | c7
        0s | halt   | a   | all                                           |           |            |       |
        0s | read   | a   | a before                                      | box.get   | box.put    |       |
    "#;
    check(
        book,
        table,
        expect![[r#"
        at | do     | run | args                                          | tool      | key        | agent | call | answer                | code                                                       | account                       | event
        0s | open   | a   |                                               |           |            |       |      | a open until 13:00:00 |                                                            |                               | run_opened
        0s | call   | a   | {"id":1}                                      | box.get   |            |       |      | deny                  | rule_forbids rule house.cedar:1                            |                               | call_decided c1 deny
        0s | read   | a   | - preview                                     | box.get   | box.set    |       |      | allow                 |                                                            | calls 0+1                     | call_decided c2 allow
        0s | read   | a   | - preview                                     | box.get   | box.put    |       |      | deny                  | plan_deviates (no contract names this read)                | calls 0+1                     | call_decided c3 deny
        0s | read   | a   | - preview                                     | box.put   | box.set    |       |      | deny                  | plan_deviates (no contract names this read)                | calls 0+1                     | call_decided c4 deny
        0s | read   | a   | - preview                                     | box.unset | box.probed |       |      | deny                  | plan_deviates (what is looked at is only read)             | calls 0+1                     | call_decided c5 deny
        0s | read   | a   | - preview                                     | box.get   | box.set    | other |      | deny                  | run_unknown                                                | calls 0+1                     | call_decided c6 deny
        0s | plan   | a   | [{"id":"a","tool":"box.put","args":{"id":1}}] |           |            |       |      | plan 1 allow: a       | a: unguarded                                               | calls 0+1                     | plan_proposed allow; phase_changed explore to decide by plan
        0s | claim  | a   |                                               |           |            |       |      | done                  |                                                            | calls 0+1                     | claimed
        0s | commit | a   |                                               |           |            |       |      | committing: a waiting |                                                            | calls 0+4 writes 0+2 usd 0+20 | commit_started
        0s | read   | a   | a before                                      | box.get   | box.put    |       |      | allow                 |                                                            | calls 0+4 writes 0+2 usd 0+20 | call_decided c7 allow
        0s | settle | a   | succeeded                                     |           |            |       | c7   | done                  |                                                            | calls 1+3 writes 0+2 usd 0+20 | call_finished c7 succeeded by gate
        0s | halt   | a   | all                                           |           |            |       |      | done                  |                                                            | calls 1+3 writes 0+2 usd 0+20 | halted
        0s | read   | a   | a before                                      | box.get   | box.put    |       |      | deny                  | halted (all, since 2026-11-21T12:00:00.000Z by ann: smoke) | calls 1+3 writes 0+2 usd 0+20 | call_decided c8 deny
    "#]],
    );
}

#[test]
fn a_run_is_not_closed_over_its_plan() {
    let table = r#"
        at  | do     | run | args                                          | key | call
        0s  | open   | a   |                                               |     |
        0s  | plan   | a   | [{"id":"a","tool":"box.put","args":{"id":1}}] |     |
        0s  | claim  | a   |                                               | 2h  |
        0s  | commit | a   |                                               |     |
        1s  | step   | a   | a                                             |     |
        1s  | close  | a   |                                               |     |
        2h  | sweep  |     |                                               |     |
        2h  | settle | a   | failed                                        |     | c1
        2h  | unwind | a   |                                               |     |
        2h  | end    | a   |                                               |     |
        2h  | sweep  |     |                                               |     |
    "#;
    check(
        boxes(),
        table,
        expect![[r#"
        at | do     | run | args                                          | key | call | answer                | code             | account                       | event
        0s | open   | a   |                                               |     |      | a open until 13:00:00 |                  |                               | run_opened
        0s | plan   | a   | [{"id":"a","tool":"box.put","args":{"id":1}}] |     |      | plan 1 allow: a       | a: unguarded     |                               | plan_proposed allow; phase_changed explore to decide by plan
        0s | claim  | a   |                                               | 2h  |      | done                  |                  |                               | claimed
        0s | commit | a   |                                               |     |      | committing: a waiting |                  | calls 0+3 writes 0+2 usd 0+20 | commit_started
        1s | step   | a   | a                                             |     |      | allow                 | by desk.may      | calls 0+3 writes 0+2 usd 0+20 | call_decided c1 allow
        1s | close  | a   |                                               |     |      | refused               | commit_under_way | calls 0+3 writes 0+2 usd 0+20 |
        2h | sweep  |     |                                               |     |      | done                  |                  |                               |
        2h | settle | a   | failed                                        |     | c1   | done                  |                  | calls 1+2 writes 1+1 usd 0+10 | call_finished c1 failed by gate
        2h | unwind | a   |                                               |     |      | unwinding: a failed   |                  | calls 1+2 writes 1+1 usd 0+10 | unwind_started failed by saga
        2h | end    | a   |                                               |     |      | rolled_back: a failed |                  | calls 1+0 writes 1+0          | commit_ended rolled_back
        2h | sweep  |     |                                               |     |      | done                  |                  |                               | run_closed expired by sweep
        "#]],
    );
    let mut book = boxes();
    manifest(&mut book).commits.on_failure = OnFailure::PauseForReplan;
    let table = r#"
        at  | do         | run | args                                                                                      | key | call
        0s  | open       | a   |                                                                                           |     |
        0s  | plan       | a   | [{"id":"a","tool":"box.put","args":{"id":1}},{"id":"b","tool":"box.put","args":{"id":2}}] |     |
        0s  | claim      | a   |                                                                                           | 3h  |
        0s  | commit     | a   |                                                                                           |     |
        1s  | step       | a   | a                                                                                         |     |
        1s  | settle     | a   | succeeded                                                                                 |     | c1
        1s  | step       | a   | b                                                                                         |     |
        1s  | settle     | a   | failed                                                                                    |     | c2
        1s  | pause plan | a   |                                                                                           |     |
        2h  | sweep      |     |                                                                                           |     |
        2h  | undo       | a   | a                                                                                         |     |
        2h  | settle     | a   | succeeded                                                                                 |     | c3
        2h  | end        | a   |                                                                                           |     |
        2h  | sweep      |     |                                                                                           |     |
    "#;
    check(
        book,
        table,
        expect![[r#"
        at | do         | run | args                                                                                      | key | call | answer                           | code                       | account                        | event
        0s | open       | a   |                                                                                           |     |      | a open until 13:00:00            |                            |                                | run_opened
        0s | plan       | a   | [{"id":"a","tool":"box.put","args":{"id":1}},{"id":"b","tool":"box.put","args":{"id":2}}] |     |      | plan 1 allow: a b                | a: unguarded; b: unguarded |                                | plan_proposed allow; phase_changed explore to decide by plan
        0s | claim      | a   |                                                                                           | 3h  |      | done                             |                            |                                | claimed
        0s | commit     | a   |                                                                                           |     |      | committing: a waiting, b waiting |                            | calls 0+6 writes 0+4 usd 0+40  | commit_started
        1s | step       | a   | a                                                                                         |     |      | allow                            | by desk.may                | calls 0+6 writes 0+4 usd 0+40  | call_decided c1 allow
        1s | settle     | a   | succeeded                                                                                 |     | c1   | done                             |                            | calls 1+5 writes 1+3 usd 10+30 | call_finished c1 succeeded by gate
        1s | step       | a   | b                                                                                         |     |      | allow                            | by desk.may                | calls 1+5 writes 1+3 usd 10+30 | call_decided c2 allow
        1s | settle     | a   | failed                                                                                    |     | c2   | done                             |                            | calls 2+4 writes 2+2 usd 10+20 | call_finished c2 failed by gate
        1s | pause plan | a   |                                                                                           |     |      | paused: a done, b failed         |                            | calls 2+4 writes 2+2 usd 10+20 | phase_changed commit to decide by failure
        2h | sweep      |     |                                                                                           |     |      | done                             |                            |                                | unwind_started run_expired by sweep
        2h | undo       | a   | a                                                                                         |     |      | allow                            |                            | calls 2+4 writes 2+2 usd 10+20 | call_decided c3 allow
        2h | settle     | a   | succeeded                                                                                 |     | c3   | done                             |                            | calls 3+3 writes 3+1 usd 20+10 | call_finished c3 succeeded by gate
        2h | end        | a   |                                                                                           |     |      | rolled_back: a undone, b failed  |                            | calls 3+0 writes 3+0 usd 20+0  | commit_ended rolled_back
        2h | sweep      |     |                                                                                           |     |      | done                             |                            |                                | run_closed expired by sweep
        "#]],
    );
}

#[test]
fn a_rule_binds_what_takes_back_only_if_it_says_so() {
    let forbid = |applies: &str| {
        format!(r#"{applies}forbid (principal, action == Remit::Action::"box.unset", resource);"#)
    };
    let table = r#"
        at | do | run | args | key | call
        0s | open | a | | |
        0s | plan | a | [{"id":"a","tool":"box.set","args":{"id":1}},{"id":"b","tool":"box.put","args":{"id":2},"after":["a"]}] | |
        0s | claim | a | | |
        0s | commit | a | | |
        1s | step | a | a | |
        1s | settle | a | succeeded | | c1
        1s | look | a | a held | v1 |
        1s | step | a | b | |
        1s | settle | a | failed | | c2
        1s | unwind | a | | |
        1s | undo | a | a | v1 |
        1s | settle | a | succeeded | | c3
        1s | end | a | | |
    "#;
    check(
        with_rule(boxes(), &forbid("")),
        table,
        expect![[r#"
        at | do     | run | args                                                                                                    | key | call | answer                           | code         | account                        | event
        0s | open   | a   |                                                                                                         |     |      | a open until 13:00:00            |              |                                | run_opened
        0s | plan   | a   | [{"id":"a","tool":"box.set","args":{"id":1}},{"id":"b","tool":"box.put","args":{"id":2},"after":["a"]}] |     |      | plan 1 allow: a b                | b: unguarded |                                | plan_proposed allow; phase_changed explore to decide by plan
        0s | claim  | a   |                                                                                                         |     |      | done                             |              |                                | claimed
        0s | commit | a   |                                                                                                         |     |      | committing: a waiting, b waiting |              | calls 0+8 writes 0+4 usd 0+40  | commit_started
        1s | step   | a   | a                                                                                                       |     |      | allow                            | by desk.may  | calls 0+8 writes 0+4 usd 0+40  | call_decided c1 allow
        1s | settle | a   | succeeded                                                                                               |     | c1   | done                             |              | calls 1+7 writes 1+3 usd 10+30 | call_finished c1 succeeded by gate
        1s | look   | a   | a held                                                                                                  | v1  |      | committing: a done, b waiting    |              | calls 1+7 writes 1+3 usd 10+30 | step_checked
        1s | step   | a   | b                                                                                                       |     |      | allow                            | by desk.may  | calls 1+7 writes 1+3 usd 10+30 | call_decided c2 allow
        1s | settle | a   | failed                                                                                                  |     | c2   | done                             |              | calls 2+6 writes 2+2 usd 10+20 | call_finished c2 failed by gate
        1s | unwind | a   |                                                                                                         |     |      | unwinding: a done, b failed      |              | calls 2+6 writes 2+2 usd 10+20 | unwind_started failed by saga
        1s | undo   | a   | a                                                                                                       | v1  |      | allow                            |              | calls 2+6 writes 2+2 usd 10+20 | call_decided c3 allow
        1s | settle | a   | succeeded                                                                                               |     | c3   | done                             |              | calls 3+5 writes 3+1 usd 20+10 | call_finished c3 succeeded by gate
        1s | end    | a   |                                                                                                         |     |      | rolled_back: a undone, b failed  |              | calls 3+0 writes 3+0 usd 20+0  | commit_ended rolled_back
        "#]],
    );
    check(
        with_rule(boxes(), &forbid(r#"@applies("undo") "#)),
        table,
        expect![[r#"
        at | do     | run | args                                                                                                    | key | call | answer                               | code                            | account                        | event
        0s | open   | a   |                                                                                                         |     |      | a open until 13:00:00                |                                 |                                | run_opened
        0s | plan   | a   | [{"id":"a","tool":"box.set","args":{"id":1}},{"id":"b","tool":"box.put","args":{"id":2},"after":["a"]}] |     |      | plan 1 allow: a b                    | b: unguarded                    |                                | plan_proposed allow; phase_changed explore to decide by plan
        0s | claim  | a   |                                                                                                         |     |      | done                                 |                                 |                                | claimed
        0s | commit | a   |                                                                                                         |     |      | committing: a waiting, b waiting     |                                 | calls 0+8 writes 0+4 usd 0+40  | commit_started
        1s | step   | a   | a                                                                                                       |     |      | allow                                | by desk.may                     | calls 0+8 writes 0+4 usd 0+40  | call_decided c1 allow
        1s | settle | a   | succeeded                                                                                               |     | c1   | done                                 |                                 | calls 1+7 writes 1+3 usd 10+30 | call_finished c1 succeeded by gate
        1s | look   | a   | a held                                                                                                  | v1  |      | committing: a done, b waiting        |                                 | calls 1+7 writes 1+3 usd 10+30 | step_checked
        1s | step   | a   | b                                                                                                       |     |      | allow                                | by desk.may                     | calls 1+7 writes 1+3 usd 10+30 | call_decided c2 allow
        1s | settle | a   | failed                                                                                                  |     | c2   | done                                 |                                 | calls 2+6 writes 2+2 usd 10+20 | call_finished c2 failed by gate
        1s | unwind | a   |                                                                                                         |     |      | unwinding: a done, b failed          |                                 | calls 2+6 writes 2+2 usd 10+20 | unwind_started failed by saga
        1s | undo   | a   | a                                                                                                       | v1  |      | deny                                 | rule_forbids rule house.cedar:1 | calls 2+6 writes 2+2 usd 10+20 | call_decided c3 deny
        1s | settle | a   | succeeded                                                                                               |     | c3   | refused                              | call_unknown                    | calls 2+6 writes 2+2 usd 10+20 |
        1s | end    | a   |                                                                                                         |     |      | quarantined: a undo_failed, b failed |                                 | calls 2+0 writes 2+0 usd 10+0  | commit_ended quarantined a stands for support-leads
        "#]],
    );
}

#[test]
fn taking_back_is_posted_and_no_budget_bars_it() {
    let mut book = boxes();
    manifest(&mut book).per_run.usd_nanos = Some(20);
    let table = r#"
        at | do | run | args | key | call
        0s | open | a | | |
        0s | plan | a | [{"id":"a","tool":"box.put","args":{"id":1}}] | |
        0s | claim | a | | |
        0s | commit | a | | |
        1s | step | a | a | |
        1s | settle | a | succeeded | | c1
        1s | end | a | | |
        1s | release | a | committed | |
        2s | charge | a | "usd_nanos":10 | |
        3s | claim | a | | |
        3s | take back | a | | |
        3s | undo | a | a | |
        3s | settle | a | succeeded | | c2
        3s | end | a | | |
    "#;
    check(
        book,
        table,
        expect![[r#"
        at | do        | run | args                                          | key | call | answer                | code         | account                        | event
        0s | open      | a   |                                               |     |      | a open until 13:00:00 |              |                                | run_opened
        0s | plan      | a   | [{"id":"a","tool":"box.put","args":{"id":1}}] |     |      | plan 1 allow: a       | a: unguarded |                                | plan_proposed allow; phase_changed explore to decide by plan
        0s | claim     | a   |                                               |     |      | done                  |              |                                | claimed
        0s | commit    | a   |                                               |     |      | committing: a waiting |              | calls 0+3 writes 0+2 usd 0+20  | commit_started
        1s | step      | a   | a                                             |     |      | allow                 | by desk.may  | calls 0+3 writes 0+2 usd 0+20  | call_decided c1 allow; threshold_crossed 100 stop
        1s | settle    | a   | succeeded                                     |     | c1   | done                  |              | calls 1+2 writes 1+1 usd 10+10 | call_finished c1 succeeded by gate
        1s | end       | a   |                                               |     |      | committed: a done     |              | calls 1+0 writes 1+0 usd 10+0  | commit_ended committed
        1s | release   | a   | committed                                     |     |      | done                  |              | calls 1+0 writes 1+0 usd 10+0  | claims_released
        2s | charge    | a   | "usd_nanos":10                                |     |      | done                  |              | calls 1+0 writes 1+0 usd 20+0  | charged
        3s | claim     | a   |                                               |     |      | done                  |              | calls 1+0 writes 1+0 usd 20+0  | claimed
        3s | take back | a   |                                               |     |      | unwinding: a done     |              | calls 1+0 writes 1+0 usd 20+0  | unwind_started because by ann
        3s | undo      | a   | a                                             |     |      | allow                 |              | calls 1+1 writes 1+1 usd 20+10 | call_decided c2 allow
        3s | settle    | a   | succeeded                                     |     | c2   | done                  |              | calls 2+0 writes 2+0 usd 30+0  | call_finished c2 succeeded by gate
        3s | end       | a   |                                               |     |      | rolled_back: a undone |              | calls 2+0 writes 2+0 usd 30+0  | commit_ended rolled_back
    "#]],
    );
}

#[test]
fn a_plan_is_held_to_the_limits_of_each_tool_as_a_whole() {
    let mut book = boxes();
    manifest(&mut book).may[0].calls_per_run_max = Some(2);
    book.tools.get_mut("box.put").unwrap().rate.per_run = Some(1);
    let table = r#"
        at | do | run | args | key | call
        0s | open | a | | |
        0s | plan | a | [{"id":"a","tool":"box.put","args":{"id":1}},{"id":"b","tool":"box.put","args":{"id":2}}] | |
        0s | plan | a | [{"id":"a","tool":"box.set","args":{"id":1}},{"id":"b","tool":"box.set","args":{"id":2}},{"id":"c","tool":"box.set","args":{"id":3}}] | |
        0s | plan | a | [{"id":"a","tool":"box.put","args":{"id":1}},{"id":"b","tool":"box.set","args":{"id":2}},{"id":"c","tool":"box.set","args":{"id":3}}] | |
    "#;
    check(
        book,
        table,
        expect![[r#"
        at | do   | run | args                                                                                                                                  | key | call | answer                | code                                                                            | account | event
        0s | open | a   |                                                                                                                                       |     |      | a open until 13:00:00 |                                                                                 |         | run_opened
        0s | plan | a   | [{"id":"a","tool":"box.put","args":{"id":1}},{"id":"b","tool":"box.put","args":{"id":2}}]                                             |     |      | plan 1 deny: a b      | limit_reached (calls of this tool in one run) max 1; a: unguarded; b: unguarded |         | plan_proposed deny; phase_changed explore to decide by plan
        0s | plan | a   | [{"id":"a","tool":"box.set","args":{"id":1}},{"id":"b","tool":"box.set","args":{"id":2}},{"id":"c","tool":"box.set","args":{"id":3}}] |     |      | plan 2 deny: a b c    | limit_reached (calls of this tool in one run) max 2                             |         | plan_proposed deny
        0s | plan | a   | [{"id":"a","tool":"box.put","args":{"id":1}},{"id":"b","tool":"box.set","args":{"id":2}},{"id":"c","tool":"box.set","args":{"id":3}}] |     |      | plan 3 allow: a b c   | a: unguarded                                                                    |         | plan_proposed allow
    "#]],
    );
}
