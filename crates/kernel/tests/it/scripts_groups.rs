//! Scripts: single calls of a run as one group, from its beginning to what is left of it.

use expect_test::expect;
use kernel::agent::May;
use kernel::book::Book;
use kernel::progress::{OnFailure, OnHalt};

use crate::book::may;
use crate::script::check;
use crate::scripts_plans::manifest;

pub(crate) const ALL: &[fn()] = &[
    what_can_be_taken_back_is_done_and_the_rest_waits_for_the_commit,
    what_fails_takes_the_group_back_and_nothing_of_it_happens_alone,
    an_agent_may_be_left_to_go_on_after_a_failure,
    a_group_goes_back_when_its_run_is_over_or_the_process_was,
    a_halt_holds_a_group_or_takes_it_back,
    of_two_writes_of_the_same_the_later_goes_back_first,
    what_a_group_may_cost_is_set_aside_as_it_grows,
    people_are_asked_about_the_group_as_one_thing,
    a_group_is_for_agents_without_phases_and_after_what_is_left_was_looked_at,
];

/// The tools of plans, for an agent that works without phases.
fn boxes() -> Book {
    let mut book = crate::scripts_plans::boxes();
    manifest(&mut book).phases = false;
    book
}

#[test]
fn what_can_be_taken_back_is_done_and_the_rest_waits_for_the_commit() {
    let book = boxes();
    let table = r#"
        at | do | run | tool | args | key | call
        0s | open | a | | | |
        0s | call | a | box.set | {"id":1} | |
        0s | settle | a | | succeeded | | c1
        1s | begin | a | | | |
        1s | begin | a | | | |
        1s | call | a | box.get | {"id":1} | |
        1s | settle | a | | succeeded | | c2
        1s | call | a | box.send | {"id":1} | k1 |
        1s | call | a | box.send | {"id":1} | k1 |
        1s | call | a | box.send | {"id":2} | k1 |
        2s | call | a | box.set | {"id":1} | |
        2s | step | a | | w1 | |
        2s | claim | a | | | |
        2s | step | a | | w2 | |
        2s | settle | a | | succeeded | | c8
        2s | look | a | | w2 held | v1 |
        2s | end | a | | | |
        3s | call | a | box.none | {} | |
        3s | permit | a | box.put | {"id":2} | |
        3s | close | a | | | |
        4s | commit | a | | | |
        5s | step | a | | w1 | |
        6s | call | a | box.put | {"id":5} | |
        9s | step | a | | w1 | |
        9s | settle | a | | succeeded | | c13
        9s | end | a | | | |
        9s | release | a | | committed | |
        9s | call | a | crm.note | {} | |
        9s | take back | a | | | |
        9s | begin | a | | | |
        9s | plan | a | | [{"id":"a","tool":"box.set","args":{"id":1}}] | |
    "#;
    check(
        book,
        table,
        expect![[r#"
        at | do        | run | tool     | args                                          | key | call | answer                         | code                                                                 | account                                  | event
        0s | open      | a   |          |                                               |     |      | a open until 13:00:00          |                                                                      |                                          | run_opened
        0s | call      | a   | box.set  | {"id":1}                                      |     |      | allow                          | by desk.may                                                          | calls 0+1 writes 0+1 usd 0+10            | call_decided c1 allow
        0s | settle    | a   |          | succeeded                                     |     | c1   | done                           |                                                                      | calls 1+0 writes 1+0 usd 10+0            | call_finished c1 succeeded by gate
        1s | begin     | a   |          |                                               |     |      | open:                          |                                                                      | calls 1+0 writes 1+0 usd 10+0            | group_begun
        1s | begin     | a   |          |                                               |     |      | open:                          |                                                                      | calls 1+0 writes 1+0 usd 10+0            |
        1s | call      | a   | box.get  | {"id":1}                                      |     |      | allow                          | by desk.may                                                          | calls 1+1 writes 1+0 usd 10+0            | call_decided c2 allow
        1s | settle    | a   |          | succeeded                                     |     | c2   | done                           |                                                                      | calls 2+0 writes 1+0 usd 10+0            | call_finished c2 succeeded by gate
        1s | call      | a   | box.send | {"id":1}                                      | k1  |      | w1 of 1, allow                 | by desk.may                                                          | calls 2+1 writes 1+1 final 0+1 usd 10+10 | step_joined
        1s | call      | a   | box.send | {"id":1}                                      | k1  |      | w1 of 1, allow                 |                                                                      | calls 2+1 writes 1+1 final 0+1 usd 10+10 |
        1s | call      | a   | box.send | {"id":2}                                      | k1  |      | deny                           | idempotency_conflict                                                 | calls 2+1 writes 1+1 final 0+1 usd 10+10 | request_refused idempotency_conflict in run
        2s | call      | a   | box.set  | {"id":1}                                      |     |      | w2 of 1, allow                 | by desk.may                                                          | calls 2+6 writes 1+3 final 0+1 usd 10+30 | step_joined
        2s | step      | a   |          | w1                                            |     |      | deny                           | step_not_due (outbox)                                                | calls 2+6 writes 1+3 final 0+1 usd 10+30 | call_decided c7 deny
        2s | claim     | a   |          |                                               |     |      | done                           |                                                                      | calls 2+6 writes 1+3 final 0+1 usd 10+30 | claimed
        2s | step      | a   |          | w2                                            |     |      | allow                          | by desk.may                                                          | calls 2+6 writes 1+3 final 0+1 usd 10+30 | call_decided c8 allow
        2s | settle    | a   |          | succeeded                                     |     | c8   | done                           |                                                                      | calls 3+5 writes 2+2 final 0+1 usd 20+20 | call_finished c8 succeeded by gate
        2s | look      | a   |          | w2 held                                       | v1  |      | open: w1 outbox, w2 done       |                                                                      | calls 3+5 writes 2+2 final 0+1 usd 20+20 | step_checked
        2s | end       | a   |          |                                               |     |      | refused                        | step_not_due (open)                                                  | calls 3+5 writes 2+2 final 0+1 usd 20+20 |
        3s | call      | a   | box.none | {}                                            |     |      | deny                           | tool_unknown (box.none)                                              | calls 3+5 writes 2+2 final 0+1 usd 20+20 | call_decided c9 deny
        3s | permit    | a   | box.put  | {"id":2}                                      |     |      | deny                           | plan_deviates (a group is open, and Remit carries its writes itself) | calls 3+5 writes 2+2 final 0+1 usd 20+20 | call_decided c10 deny
        3s | close     | a   |          |                                               |     |      | refused                        | commit_under_way                                                     | calls 3+5 writes 2+2 final 0+1 usd 20+20 |
        4s | commit    | a   |          |                                               |     |      | committing: w1 outbox, w2 done |                                                                      | calls 3+5 writes 2+2 final 0+1 usd 20+20 | commit_started
        5s | step      | a   |          | w1                                            |     |      | deny                           | step_not_due (outbox)                                                | calls 3+5 writes 2+2 final 0+1 usd 20+20 | call_decided c11 deny
        6s | call      | a   | box.put  | {"id":5}                                      |     |      | deny                           | commit_under_way                                                     | calls 3+5 writes 2+2 final 0+1 usd 20+20 | call_decided c12 deny
        9s | step      | a   |          | w1                                            |     |      | allow                          | by desk.may                                                          | calls 3+5 writes 2+2 final 0+1 usd 20+20 | call_decided c13 allow
        9s | settle    | a   |          | succeeded                                     |     | c13  | done                           |                                                                      | calls 4+4 writes 3+1 final 1+0 usd 30+10 | call_finished c13 succeeded by gate
        9s | end       | a   |          |                                               |     |      | committed: w1 done, w2 done    |                                                                      | calls 4+0 writes 3+0 final 1+0 usd 30+0  | commit_ended committed
        9s | release   | a   |          | committed                                     |     |      | done                           |                                                                      | calls 4+0 writes 3+0 final 1+0 usd 30+0  | claims_released
        9s | call      | a   | crm.note | {}                                            |     |      | allow                          | by desk.may                                                          | calls 4+1 writes 3+1 final 1+0 usd 30+0  | call_decided c14 allow
        9s | take back | a   |          |                                               |     |      | unwinding: w1 done, w2 done    |                                                                      | calls 4+1 writes 3+1 final 1+0 usd 30+0  | unwind_started because by ann
        9s | begin     | a   |          |                                               |     |      | refused                        | commit_under_way                                                     | calls 4+1 writes 3+1 final 1+0 usd 30+0  |
        9s | plan      | a   |          | [{"id":"a","tool":"box.set","args":{"id":1}}] |     |      | refused                        | commit_under_way                                                     | calls 4+1 writes 3+1 final 1+0 usd 30+0  |
    "#]],
    );
}

#[test]
fn what_fails_takes_the_group_back_and_nothing_of_it_happens_alone() {
    let book = boxes();
    let table = r#"
        at | do | run | tool | args | key | call
        0s | open | a | | | |
        0s | begin | a | | | |
        0s | call | a | box.put | {"id":1} | |
        0s | claim | a | | | |
        0s | step | a | | w1 | |
        0s | settle | a | | succeeded | | c2
        1s | call | a | box.send | {"id":3} | |
        1s | call | a | box.put | {"id":2} | |
        1s | claim | a | | | |
        1s | step | a | | w3 | |
        1s | settle | a | | failed | | c5
        1s | call | a | box.put | {"id":9} | |
        1s | unwind | a | | | |
        1s | call | a | box.put | {"id":4} | |
        1s | undo | a | | w1 | |
        1s | settle | a | | succeeded | | c7
        1s | end | a | | | |
        2s | call | a | box.put | {"id":4} | |
        2s | call | a | box.get | {"id":4} | |
        2s | abort | a | | | |
        3s | begin | a | | | |
        3s | abort | a | | | |
        3s | end | a | | | |
        4s | call | a | crm.note | {} | |
    "#;
    check(
        book,
        table,
        expect![[r#"
        at | do     | run | tool     | args      | key | call | answer                                                   | code                     | account                                  | event
        0s | open   | a   |          |           |     |      | a open until 13:00:00                                    |                          |                                          | run_opened
        0s | begin  | a   |          |           |     |      | open:                                                    |                          |                                          | group_begun
        0s | call   | a   | box.put  | {"id":1}  |     |      | w1 of 1, allow                                           | by desk.may              | calls 0+3 writes 0+2 usd 0+20            | step_joined
        0s | claim  | a   |          |           |     |      | done                                                     |                          | calls 0+3 writes 0+2 usd 0+20            | claimed
        0s | step   | a   |          | w1        |     |      | allow                                                    | by desk.may              | calls 0+3 writes 0+2 usd 0+20            | call_decided c2 allow
        0s | settle | a   |          | succeeded |     | c2   | done                                                     |                          | calls 1+2 writes 1+1 usd 10+10           | call_finished c2 succeeded by gate
        1s | call   | a   | box.send | {"id":3}  |     |      | w2 of 1, allow                                           | by desk.may              | calls 1+3 writes 1+2 final 0+1 usd 10+20 | step_joined
        1s | call   | a   | box.put  | {"id":2}  |     |      | w3 of 1, allow                                           | by desk.may              | calls 1+6 writes 1+4 final 0+1 usd 10+40 | step_joined
        1s | claim  | a   |          |           |     |      | done                                                     |                          | calls 1+6 writes 1+4 final 0+1 usd 10+40 | claimed
        1s | step   | a   |          | w3        |     |      | allow                                                    | by desk.may              | calls 1+6 writes 1+4 final 0+1 usd 10+40 | call_decided c5 allow
        1s | settle | a   |          | failed    |     | c5   | done                                                     |                          | calls 2+5 writes 2+3 final 0+1 usd 10+30 | call_finished c5 failed by gate
        1s | call   | a   | box.put  | {"id":9}  |     |      | w4 of 1, allow                                           | by desk.may              | calls 2+8 writes 2+5 final 0+1 usd 10+50 | step_joined
        1s | unwind | a   |          |           |     |      | unwinding: w1 done, w2 skipped, w3 failed, w4 skipped    |                          | calls 2+8 writes 2+5 final 0+1 usd 10+50 | unwind_started failed by saga
        1s | call   | a   | box.put  | {"id":4}  |     |      | deny                                                     | group_over (failed)      | calls 2+8 writes 2+5 final 0+1 usd 10+50 | call_decided c7 deny
        1s | undo   | a   |          | w1        |     |      | allow                                                    |                          | calls 2+8 writes 2+5 final 0+1 usd 10+50 | call_decided c8 allow
        1s | settle | a   |          | succeeded |     | c7   | refused                                                  | call_unknown             | calls 2+8 writes 2+5 final 0+1 usd 10+50 |
        1s | end    | a   |          |           |     |      | refused                                                  | step_not_due (unwinding) | calls 2+8 writes 2+5 final 0+1 usd 10+50 |
        2s | call   | a   | box.put  | {"id":4}  |     |      | deny                                                     | group_over (failed)      | calls 2+8 writes 2+5 final 0+1 usd 10+50 | call_decided c9 deny
        2s | call   | a   | box.get  | {"id":4}  |     |      | allow                                                    | by desk.may              | calls 2+9 writes 2+5 final 0+1 usd 10+50 | call_decided c10 allow
        2s | abort  | a   |          |           |     |      | unwinding: w1 undoing, w2 skipped, w3 failed, w4 skipped |                          | calls 2+9 writes 2+5 final 0+1 usd 10+50 |
        3s | begin  | a   |          |           |     |      | refused                                                  | commit_under_way         | calls 2+9 writes 2+5 final 0+1 usd 10+50 |
        3s | abort  | a   |          |           |     |      | unwinding: w1 undoing, w2 skipped, w3 failed, w4 skipped |                          | calls 2+9 writes 2+5 final 0+1 usd 10+50 |
        3s | end    | a   |          |           |     |      | refused                                                  | step_not_due (unwinding) | calls 2+9 writes 2+5 final 0+1 usd 10+50 |
        4s | call   | a   | crm.note | {}        |     |      | deny                                                     | group_over (failed)      | calls 2+9 writes 2+5 final 0+1 usd 10+50 | call_decided c11 deny
        "#]],
    );
}

#[test]
fn an_agent_may_be_left_to_go_on_after_a_failure() {
    let mut book = boxes();
    manifest(&mut book).commits.on_failure = OnFailure::PauseForReplan;
    let table = r#"
        at | do | run | tool | args | key | call
        0s | open | a | | | |
        0s | begin | a | | | |
        0s | call | a | box.put | {"id":1} | |
        0s | claim | a | | | |
        0s | step | a | | w1 | |
        0s | settle | a | | failed | | c2
        0s | unwind | a | | | |
        1s | restart | | | | |
        1s | call | a | box.put | {"id":2} | |
        1s | claim | a | | | |
        1s | step | a | | w2 | |
        1s | settle | a | | succeeded | | c4
        2s | commit | a | | | |
        2s | end | a | | | |
        3s | begin | a | | | |
        3s | call | a | box.set | {"id":1} | |
        3s | claim | a | | | |
        3s | step | a | | w1 | |
        3s | settle | a | | succeeded | | c6
        3s | look | a | | w1 wrong | |
        3s | unwind | a | | | |
        4s | commit | a | | | |
        4s | unwind | a | | | |
    "#;
    check(
        book,
        table,
        expect![[r#"
        at | do      | run | tool    | args      | key | call | answer                         | code                | account                        | event
        0s | open    | a   |         |           |     |      | a open until 13:00:00          |                     |                                | run_opened
        0s | begin   | a   |         |           |     |      | open:                          |                     |                                | group_begun
        0s | call    | a   | box.put | {"id":1}  |     |      | w1 of 1, allow                 | by desk.may         | calls 0+3 writes 0+2 usd 0+20  | step_joined
        0s | claim   | a   |         |           |     |      | done                           |                     | calls 0+3 writes 0+2 usd 0+20  | claimed
        0s | step    | a   |         | w1        |     |      | allow                          | by desk.may         | calls 0+3 writes 0+2 usd 0+20  | call_decided c2 allow
        0s | settle  | a   |         | failed    |     | c2   | done                           |                     | calls 1+2 writes 1+1 usd 0+10  | call_finished c2 failed by gate
        0s | unwind  | a   |         |           |     |      | refused                        | step_not_due (open) | calls 1+2 writes 1+1 usd 0+10  |
        1s | restart |     |         |           |     |      | done                           |                     |                                |
        1s | call    | a   | box.put | {"id":2}  |     |      | w2 of 1, allow                 | by desk.may         | calls 1+5 writes 1+3 usd 0+30  | step_joined
        1s | claim   | a   |         |           |     |      | done                           |                     | calls 1+5 writes 1+3 usd 0+30  | claimed
        1s | step    | a   |         | w2        |     |      | allow                          | by desk.may         | calls 1+5 writes 1+3 usd 0+30  | call_decided c4 allow
        1s | settle  | a   |         | succeeded |     | c4   | done                           |                     | calls 2+4 writes 2+2 usd 10+20 | call_finished c4 succeeded by gate
        2s | commit  | a   |         |           |     |      | committing: w1 failed, w2 done |                     | calls 2+4 writes 2+2 usd 10+20 | commit_started
        2s | end     | a   |         |           |     |      | committed: w1 failed, w2 done  |                     | calls 2+0 writes 2+0 usd 10+0  | commit_ended committed
        3s | begin   | a   |         |           |     |      | open:                          |                     | calls 2+0 writes 2+0 usd 10+0  | group_begun
        3s | call    | a   | box.set | {"id":1}  |     |      | w1 of 2, allow                 | by desk.may         | calls 2+5 writes 2+2 usd 10+20 | step_joined
        3s | claim   | a   |         |           |     |      | done                           |                     | calls 2+5 writes 2+2 usd 10+20 | claimed
        3s | step    | a   |         | w1        |     |      | allow                          | by desk.may         | calls 2+5 writes 2+2 usd 10+20 | call_decided c6 allow
        3s | settle  | a   |         | succeeded |     | c6   | done                           |                     | calls 3+4 writes 3+1 usd 20+10 | call_finished c6 succeeded by gate
        3s | look    | a   |         | w1 wrong  |     |      | open: w1 done                  |                     | calls 3+4 writes 3+1 usd 20+10 | step_checked
        3s | unwind  | a   |         |           |     |      | refused                        | step_not_due (open) | calls 3+4 writes 3+1 usd 20+10 |
        4s | commit  | a   |         |           |     |      | committing: w1 done            |                     | calls 3+4 writes 3+1 usd 20+10 | commit_started
        4s | unwind  | a   |         |           |     |      | unwinding: w1 done             |                     | calls 3+4 writes 3+1 usd 20+10 | unwind_started expectation_failed by saga
        "#]],
    );
}

#[test]
fn a_group_goes_back_when_its_run_is_over_or_the_process_was() {
    let mut book = boxes();
    manifest(&mut book).limits.idle_ms = Some(60_000);
    let table = r#"
        at | do | run | tool | args | key | call
        0s | open | a | | | |
        0s | begin | a | | | |
        0s | call | a | box.put | {"id":1} | |
        0s | claim | a | | | |
        0s | step | a | | w1 | |
        0s | settle | a | | succeeded | | c2
        2m | sweep | a | | | |
        2m | sweep | a | | | |
        2m | undo | a | | w1 | |
        2m | settle | a | | succeeded | | c3
        2m | end | a | | | |
        2m | sweep | a | | | |
        2m | release | a | | | |
        2m | open | b | | | |
        2m | begin | b | | | |
        2m | call | b | box.put | {"id":1} | |
        2m | claim | b | | | |
        2m | step | b | | w1 | |
        2m | restart | | | | |
        2m | restart | | | | |
        2m | resolve | b | | done | | c5
        2m | undo | b | | w1 | |
        2m | settle | b | | succeeded | | c6
        2m | end | b | | | |
        2m | call | b | box.put | {"id":1} | |
    "#;
    check(
        book,
        table,
        expect![[r#"
        at | do      | run | tool    | args      | key | call | answer                 | code                   | account                        | event
        0s | open    | a   |         |           |     |      | a open until 13:00:00  |                        |                                | run_opened
        0s | begin   | a   |         |           |     |      | open:                  |                        |                                | group_begun
        0s | call    | a   | box.put | {"id":1}  |     |      | w1 of 1, allow         | by desk.may            | calls 0+3 writes 0+2 usd 0+20  | step_joined
        0s | claim   | a   |         |           |     |      | done                   |                        | calls 0+3 writes 0+2 usd 0+20  | claimed
        0s | step    | a   |         | w1        |     |      | allow                  | by desk.may            | calls 0+3 writes 0+2 usd 0+20  | call_decided c2 allow
        0s | settle  | a   |         | succeeded |     | c2   | done                   |                        | calls 1+2 writes 1+1 usd 10+10 | call_finished c2 succeeded by gate
        2m | sweep   | a   |         |           |     |      | done                   |                        | calls 1+2 writes 1+1 usd 10+10 | unwind_started run_expired by sweep
        2m | sweep   | a   |         |           |     |      | done                   |                        | calls 1+2 writes 1+1 usd 10+10 |
        2m | undo    | a   |         | w1        |     |      | allow                  |                        | calls 1+2 writes 1+1 usd 10+10 | call_decided c3 allow
        2m | settle  | a   |         | succeeded |     | c3   | done                   |                        | calls 2+1 writes 2+0 usd 20+0  | call_finished c3 succeeded by gate
        2m | end     | a   |         |           |     |      | rolled_back: w1 undone |                        | calls 2+0 writes 2+0 usd 20+0  | commit_ended rolled_back
        2m | sweep   | a   |         |           |     |      | done                   |                        |                                | run_closed expired by sweep
        2m | release | a   |         |           |     |      | done                   |                        |                                | claims_released
        2m | open    | b   |         |           |     |      | b open until 13:02:00  |                        |                                | run_opened
        2m | begin   | b   |         |           |     |      | open:                  |                        |                                | group_begun
        2m | call    | b   | box.put | {"id":1}  |     |      | w1 of 1, allow         | by desk.may            | calls 0+3 writes 0+2 usd 0+20  | step_joined
        2m | claim   | b   |         |           |     |      | done                   |                        | calls 0+3 writes 0+2 usd 0+20  | claimed
        2m | step    | b   |         | w1        |     |      | allow                  | by desk.may            | calls 0+3 writes 0+2 usd 0+20  | call_decided c5 allow
        2m | restart |     |         |           |     |      | done                   |                        |                                | call_finished c5 unknown by restart; unwind_started restarted by restart
        2m | restart |     |         |           |     |      | done                   |                        |                                |
        2m | resolve | b   |         | done      |     | c5   | done                   |                        | calls 1+2 writes 1+1 usd 10+10 | call_finished c5 succeeded by ann
        2m | undo    | b   |         | w1        |     |      | allow                  |                        | calls 1+2 writes 1+1 usd 10+10 | call_decided c6 allow
        2m | settle  | b   |         | succeeded |     | c6   | done                   |                        | calls 2+1 writes 2+0 usd 20+0  | call_finished c6 succeeded by gate
        2m | end     | b   |         |           |     |      | rolled_back: w1 undone |                        | calls 2+0 writes 2+0 usd 20+0  | commit_ended rolled_back
        2m | call    | b   | box.put | {"id":1}  |     |      | deny                   | group_over (restarted) | calls 2+0 writes 2+0 usd 20+0  | call_decided c7 deny
    "#]],
    );
}

#[test]
fn a_halt_holds_a_group_or_takes_it_back() {
    let mut book = boxes();
    manifest(&mut book).commits.on_halt = OnHalt::Unwind;
    let table = r#"
        at | do | run | tool | args | key | call
        0s | open | a | | | |
        0s | begin | a | | | |
        0s | call | a | box.put | {"id":1} | |
        0s | claim | a | | | |
        0s | step | a | | w1 | |
        0s | settle | a | | succeeded | | c2
        0s | unwind | a | | | |
        1s | halt | a | | agent:desk | |
        1s | call | a | box.put | {"id":2} | |
        1s | begin | a | | | |
        1s | unwind | a | | | |
        1s | undo | a | | w1 | |
        1s | settle | a | | succeeded | | c4
        1s | end | a | | | |
    "#;
    check(
        book,
        table,
        expect![[r#"
        at | do     | run | tool    | args       | key | call | answer                 | code                                                              | account                        | event
        0s | open   | a   |         |            |     |      | a open until 13:00:00  |                                                                   |                                | run_opened
        0s | begin  | a   |         |            |     |      | open:                  |                                                                   |                                | group_begun
        0s | call   | a   | box.put | {"id":1}   |     |      | w1 of 1, allow         | by desk.may                                                       | calls 0+3 writes 0+2 usd 0+20  | step_joined
        0s | claim  | a   |         |            |     |      | done                   |                                                                   | calls 0+3 writes 0+2 usd 0+20  | claimed
        0s | step   | a   |         | w1         |     |      | allow                  | by desk.may                                                       | calls 0+3 writes 0+2 usd 0+20  | call_decided c2 allow
        0s | settle | a   |         | succeeded  |     | c2   | done                   |                                                                   | calls 1+2 writes 1+1 usd 10+10 | call_finished c2 succeeded by gate
        0s | unwind | a   |         |            |     |      | refused                | step_not_due (open)                                               | calls 1+2 writes 1+1 usd 10+10 |
        1s | halt   | a   |         | agent:desk |     |      | done                   |                                                                   | calls 1+2 writes 1+1 usd 10+10 | halted
        1s | call   | a   | box.put | {"id":2}   |     |      | deny                   | halted (agent:desk, since 2026-11-21T12:00:01.000Z by ann: smoke) | calls 1+2 writes 1+1 usd 10+10 | call_decided c3 deny
        1s | begin  | a   |         |            |     |      | refused                | halted (agent:desk, since 2026-11-21T12:00:01.000Z by ann: smoke) | calls 1+2 writes 1+1 usd 10+10 |
        1s | unwind | a   |         |            |     |      | unwinding: w1 done     |                                                                   | calls 1+2 writes 1+1 usd 10+10 | unwind_started halted by saga
        1s | undo   | a   |         | w1         |     |      | allow                  |                                                                   | calls 1+2 writes 1+1 usd 10+10 | call_decided c4 allow
        1s | settle | a   |         | succeeded  |     | c4   | done                   |                                                                   | calls 2+1 writes 2+0 usd 20+0  | call_finished c4 succeeded by gate
        1s | end    | a   |         |            |     |      | rolled_back: w1 undone |                                                                   | calls 2+0 writes 2+0 usd 20+0  | commit_ended rolled_back
    "#]],
    );
}

#[test]
fn of_two_writes_of_the_same_the_later_goes_back_first() {
    let book = boxes();
    let table = r#"
        at | do | run | tool | args | key | call
        0s | open | a | | | |
        0s | begin | a | | | |
        0s | call | a | box.set | {"id":1} | |
        0s | claim | a | | | |
        0s | step | a | | w1 | |
        0s | call | a | box.set | {"id":1} | |
        0s | step | a | | w2 | |
        0s | settle | a | | succeeded | | c2
        0s | look | a | | w1 held | v1 |
        0s | step | a | | w2 | |
        0s | settle | a | | succeeded | | c5
        0s | look | a | | w2 held | v2 |
        1s | abort | a | | | |
        1s | undo | a | | w1 | v1 |
        1s | undo | a | | w2 | v2 |
        1s | settle | a | | succeeded | | c7
        1s | undo | a | | w1 | |
        1s | settle | a | | succeeded | | c7
        1s | end | a | | | |
    "#;
    check(
        book,
        table,
        expect![[r#"
        at | do     | run | tool    | args      | key | call | answer                      | code                     | account                        | event
        0s | open   | a   |         |           |     |      | a open until 13:00:00       |                          |                                | run_opened
        0s | begin  | a   |         |           |     |      | open:                       |                          |                                | group_begun
        0s | call   | a   | box.set | {"id":1}  |     |      | w1 of 1, allow              | by desk.may              | calls 0+5 writes 0+2 usd 0+20  | step_joined
        0s | claim  | a   |         |           |     |      | done                        |                          | calls 0+5 writes 0+2 usd 0+20  | claimed
        0s | step   | a   |         | w1        |     |      | allow                       | by desk.may              | calls 0+5 writes 0+2 usd 0+20  | call_decided c2 allow
        0s | call   | a   | box.set | {"id":1}  |     |      | w2 of 1, allow              | by desk.may              | calls 0+10 writes 0+4 usd 0+40 | step_joined
        0s | step   | a   |         | w2        |     |      | deny                        | step_not_due (waiting)   | calls 0+10 writes 0+4 usd 0+40 | call_decided c4 deny
        0s | settle | a   |         | succeeded |     | c2   | done                        |                          | calls 1+9 writes 1+3 usd 10+30 | call_finished c2 succeeded by gate
        0s | look   | a   |         | w1 held   | v1  |      | open: w1 done, w2 waiting   |                          | calls 1+9 writes 1+3 usd 10+30 | step_checked
        0s | step   | a   |         | w2        |     |      | allow                       | by desk.may              | calls 1+9 writes 1+3 usd 10+30 | call_decided c5 allow
        0s | settle | a   |         | succeeded |     | c5   | done                        |                          | calls 2+8 writes 2+2 usd 20+20 | call_finished c5 succeeded by gate
        0s | look   | a   |         | w2 held   | v2  |      | open: w1 done, w2 done      |                          | calls 2+8 writes 2+2 usd 20+20 | step_checked
        1s | abort  | a   |         |           |     |      | unwinding: w1 done, w2 done |                          | calls 2+8 writes 2+2 usd 20+20 | unwind_started because by desk
        1s | undo   | a   |         | w1        | v1  |      | deny                        | step_not_due (done)      | calls 2+8 writes 2+2 usd 20+20 | call_decided c6 deny
        1s | undo   | a   |         | w2        | v2  |      | allow                       |                          | calls 2+8 writes 2+2 usd 20+20 | call_decided c7 allow
        1s | settle | a   |         | succeeded |     | c7   | done                        |                          | calls 3+7 writes 3+1 usd 30+10 | call_finished c7 succeeded by gate
        1s | undo   | a   |         | w1        |     |      | allow                       |                          | calls 3+7 writes 3+1 usd 30+10 | call_decided c8 allow
        1s | settle | a   |         | succeeded |     | c7   | refused                     | call_unknown             | calls 3+7 writes 3+1 usd 30+10 |
        1s | end    | a   |         |           |     |      | refused                     | step_not_due (unwinding) | calls 3+7 writes 3+1 usd 30+10 |
    "#]],
    );
}

#[test]
fn what_a_group_may_cost_is_set_aside_as_it_grows() {
    let mut book = boxes();
    manifest(&mut book).per_run.usd_nanos = Some(50);
    let table = r#"
        at | do | run | tool | args | key | call
        0s | open | a | | | |
        0s | begin | a | | | |
        0s | call | a | box.put | {"id":1} | |
        0s | claim | a | | | |
        0s | step | a | | w1 | |
        0s | settle | a | | succeeded 4 | | c2
        0s | call | a | box.send | {"id":2} | |
        0s | call | a | box.put | {"id":3} | |
        0s | call | a | box.send | {"id":4} | |
        1s | abort | a | | | |
        1s | undo | a | | w1 | |
        1s | settle | a | | succeeded 3 | | c6
        1s | end | a | | | |
    "#;
    check(
        book,
        table,
        expect![[r#"
        at | do     | run | tool     | args        | key | call | answer                                         | code                                        | account                                 | event
        0s | open   | a   |          |             |     |      | a open until 13:00:00                          |                                             |                                         | run_opened
        0s | begin  | a   |          |             |     |      | open:                                          |                                             |                                         | group_begun
        0s | call   | a   | box.put  | {"id":1}    |     |      | w1 of 1, allow                                 | by desk.may                                 | calls 0+3 writes 0+2 usd 0+20           | step_joined
        0s | claim  | a   |          |             |     |      | done                                           |                                             | calls 0+3 writes 0+2 usd 0+20           | claimed
        0s | step   | a   |          | w1          |     |      | allow                                          | by desk.may                                 | calls 0+3 writes 0+2 usd 0+20           | call_decided c2 allow
        0s | settle | a   |          | succeeded 4 |     | c2   | done                                           |                                             | calls 1+2 writes 1+1 usd 4+10           | call_finished c2 succeeded by gate
        0s | call   | a   | box.send | {"id":2}    |     |      | w2 of 1, allow                                 | by desk.may                                 | calls 1+3 writes 1+2 final 0+1 usd 4+20 | step_joined
        0s | call   | a   | box.put  | {"id":3}    |     |      | w3 of 1, allow                                 | by desk.may                                 | calls 1+6 writes 1+4 final 0+1 usd 4+40 | step_joined
        0s | call   | a   | box.send | {"id":4}    |     |      | deny                                           | budget_exceeded (usd (nano-dollars)) max 50 | calls 1+6 writes 1+4 final 0+1 usd 4+40 | call_decided c5 deny
        1s | abort  | a   |          |             |     |      | unwinding: w1 done, w2 skipped, w3 skipped     |                                             | calls 1+6 writes 1+4 final 0+1 usd 4+40 | unwind_started because by desk
        1s | undo   | a   |          | w1          |     |      | allow                                          |                                             | calls 1+6 writes 1+4 final 0+1 usd 4+40 | call_decided c6 allow; threshold_crossed 75 decide
        1s | settle | a   |          | succeeded 3 |     | c6   | done                                           |                                             | calls 2+5 writes 2+3 final 0+1 usd 7+30 | call_finished c6 succeeded by gate
        1s | end    | a   |          |             |     |      | rolled_back: w1 undone, w2 skipped, w3 skipped |                                             | calls 2+0 writes 2+0 usd 7+0            | commit_ended rolled_back
    "#]],
    );
}

#[test]
fn people_are_asked_about_the_group_as_one_thing() {
    let mut book = crate::scripts_approval::house(boxes());
    let puts = May { ask: Some("leads".into()), ..may("desk.may[0]", "box.put") };
    manifest(&mut book).may = vec![puts, may("desk.may[1]", "box.send"), may("desk.may[2]", "box.get")];
    let table = r#"
        at | do | run | tool | args | key | call
        0s | open | a | | | |
        0s | begin | a | | | |
        0s | call | a | box.put | {"id":1} | |
        0s | step | a | | w1 | |
        0s | claim | a | | | |
        1s | commit | a | | | |
        1s | call | a | box.send | {"id":1} | |
        2s | claim | a | | | |
        2s | commit | a | | | |
    "#;
    check(
        book,
        table,
        expect![[r#"
        at | do     | run | tool     | args     | key | call | answer                | code                                                          | account                                 | event
        0s | open   | a   |          |          |     |      | a open until 13:00:00 |                                                               |                                         | run_opened
        0s | begin  | a   |          |          |     |      | open:                 |                                                               |                                         | group_begun
        0s | call   | a   | box.put  | {"id":1} |     |      | w1 of 1, allow        |                                                               | calls 0+3 writes 0+2 usd 0+20           | step_joined
        0s | step   | a   |          | w1       |     |      | deny                  | step_not_due (waiting)                                        | calls 0+3 writes 0+2 usd 0+20           | call_decided c2 deny
        0s | claim  | a   |          |          |     |      | done                  |                                                               | calls 0+3 writes 0+2 usd 0+20           | claimed
        1s | commit | a   |          |          |     |      | refused               | approval_required (call_000000000000000000000000w4) ask leads | calls 0+3 writes 0+2 usd 0+20           | call_decided the plan ask until 13:00:00
        1s | call   | a   | box.send | {"id":1} |     |      | w2 of 1, allow        | by desk.may[1]                                                | calls 0+4 writes 0+3 final 0+1 usd 0+30 | step_joined; call_decided the plan deny
        2s | claim  | a   |          |          |     |      | done                  |                                                               | calls 0+4 writes 0+3 final 0+1 usd 0+30 | claimed
        2s | commit | a   |          |          |     |      | refused               | approval_required (call_000000000000000000000000w4) ask leads | calls 0+4 writes 0+3 final 0+1 usd 0+30 | call_decided the plan ask until 13:00:00
    "#]],
    );
}

#[test]
fn a_group_is_for_agents_without_phases_and_after_what_is_left_was_looked_at() {
    let book = crate::scripts_plans::boxes();
    let table = r#"
        at | do | run | tool | args | key | call
        0s | open | a | | | |
        0s | begin | a | | | |
        0s | begin | z | | | |
        0s | plan | a | | [{"id":"a","tool":"box.put","args":{"id":1}},{"id":"b","tool":"box.put","args":{"id":2},"after":["a"]}] | |
        0s | claim | a | | | |
        0s | commit | a | | | |
        0s | step | a | | a | |
        0s | settle | a | | succeeded | | c1
        0s | step | a | | b | |
        0s | settle | a | | failed | | c2
        0s | unwind | a | | | |
        0s | undo | a | | a | |
        0s | settle | a | | failed | | c3
        0s | end | a | | | |
        1s | plan | a | | [{"id":"a","tool":"box.put","args":{"id":3}}] | |
        2s | accept | a | | | |
        2s | plan | a | | [{"id":"a","tool":"box.put","args":{"id":3}}] | |
    "#;
    check(
        book,
        table,
        expect![[r#"
        at | do     | run | tool | args                                                                                                    | key | call | answer                               | code                       | account                        | event
        0s | open   | a   |      |                                                                                                         |     |      | a open until 13:00:00                |                            |                                | run_opened
        0s | begin  | a   |      |                                                                                                         |     |      | refused                              | phase_forbids (explore)    |                                |
        0s | begin  | z   |      |                                                                                                         |     |      | refused                              | run_unknown                |                                |
        0s | plan   | a   |      | [{"id":"a","tool":"box.put","args":{"id":1}},{"id":"b","tool":"box.put","args":{"id":2},"after":["a"]}] |     |      | plan 1 allow: a b                    | a: unguarded; b: unguarded |                                | plan_proposed allow; phase_changed explore to decide by plan
        0s | claim  | a   |      |                                                                                                         |     |      | done                                 |                            |                                | claimed
        0s | commit | a   |      |                                                                                                         |     |      | committing: a waiting, b waiting     |                            | calls 0+6 writes 0+4 usd 0+40  | commit_started
        0s | step   | a   |      | a                                                                                                       |     |      | allow                                | by desk.may                | calls 0+6 writes 0+4 usd 0+40  | call_decided c1 allow
        0s | settle | a   |      | succeeded                                                                                               |     | c1   | done                                 |                            | calls 1+5 writes 1+3 usd 10+30 | call_finished c1 succeeded by gate
        0s | step   | a   |      | b                                                                                                       |     |      | allow                                | by desk.may                | calls 1+5 writes 1+3 usd 10+30 | call_decided c2 allow
        0s | settle | a   |      | failed                                                                                                  |     | c2   | done                                 |                            | calls 2+4 writes 2+2 usd 10+20 | call_finished c2 failed by gate
        0s | unwind | a   |      |                                                                                                         |     |      | unwinding: a done, b failed          |                            | calls 2+4 writes 2+2 usd 10+20 | unwind_started failed by saga
        0s | undo   | a   |      | a                                                                                                       |     |      | allow                                |                            | calls 2+4 writes 2+2 usd 10+20 | call_decided c3 allow
        0s | settle | a   |      | failed                                                                                                  |     | c3   | done                                 |                            | calls 3+3 writes 3+1 usd 10+10 | call_finished c3 failed by gate
        0s | end    | a   |      |                                                                                                         |     |      | quarantined: a undo_failed, b failed |                            | calls 3+0 writes 3+0 usd 10+0  | commit_ended quarantined a stands for support-leads
        1s | plan   | a   |      | [{"id":"a","tool":"box.put","args":{"id":3}}]                                                           |     |      | refused                              | residue_open               | calls 3+0 writes 3+0 usd 10+0  |
        2s | accept | a   |      |                                                                                                         |     |      | quarantined: a undo_failed, b failed |                            | calls 3+0 writes 3+0 usd 10+0  | residue_accepted
        2s | plan   | a   |      | [{"id":"a","tool":"box.put","args":{"id":3}}]                                                           |     |      | plan 2 allow: a                      | a: unguarded               | calls 3+0 writes 3+0 usd 10+0  | plan_proposed allow
        "#]],
    );
}
