//! Scripts: limits, budgets, and what an outcome does to them.

use expect_test::expect;
use kernel::agent::May;

use crate::book::{anything, book, desk, manifest, may};
use crate::script::check;

pub(crate) const ALL: &[fn()] = &[
    a_limit_of_a_line_counts_permitted_calls,
    the_house_caps_calls_per_run,
    dollars_are_reserved_then_posted,
    unknown_keeps_its_reservation_and_not_dispatched_frees_it,
    irreversible_and_writes_and_seconds_have_limits_of_their_own,
];

#[test]
fn a_limit_of_a_line_counts_permitted_calls() {
    let two = May { calls_per_run_max: Some(2), ..may("desk.may[0]", "crm.*") };
    let agent =
        manifest("desk", vec![two, May { calls_per_run_max: Some(1), ..may("desk.may[1]", "crm.note") }]);
    let table = r#"
        at | do     | run | tool       | args          | call
        0s | open   | a   |            |               |
        1s | call   | a   | crm.lookup | {"id":"7"}    |
        1s | settle | a   |            | not_dispatched | c1
        1s | call   | a   | crm.lookup | {"id":"8"}    |
        1s | call   | a   | crm.lookup | {"id":"9"}    |
        1s | call   | a   | crm.note   | {}            |
        1s | call   | a   | crm.note   | {}            |
        2s | open   | b   |            |               |
        2s | call   | b   | crm.note   | {}            |
    "#;
    check(
        book(vec![agent]),
        table,
        expect![[r#"
        at | do     | run | tool       | args           | call | answer                | code                                                | account              | event
        0s | open   | a   |            |                |      | a open until 13:00:00 |                                                     |                      | run_opened
        1s | call   | a   | crm.lookup | {"id":"7"}     |      | allow                 | by desk.may[0]                                      | calls 0+1            | call_decided c1 allow
        1s | settle | a   |            | not_dispatched | c1   | done                  |                                                     |                      | call_finished c1 not_dispatched by gate
        1s | call   | a   | crm.lookup | {"id":"8"}     |      | allow                 | by desk.may[0]                                      | calls 0+1            | call_decided c2 allow
        1s | call   | a   | crm.lookup | {"id":"9"}     |      | deny                  | limit_reached (calls of this tool in one run) max 2 | calls 0+1            | call_decided c3 deny
        1s | call   | a   | crm.note   | {}             |      | allow                 | by desk.may[0]; by desk.may[1]                      | calls 0+2 writes 0+1 | call_decided c4 allow
        1s | call   | a   | crm.note   | {}             |      | deny                  | limit_reached (calls of this tool in one run) max 1 | calls 0+2 writes 0+1 | call_decided c5 deny
        2s | open   | b   |            |                |      | b open until 13:00:02 |                                                     |                      | run_opened
        2s | call   | b   | crm.note   | {}             |      | allow                 | by desk.may[0]; by desk.may[1]                      | calls 0+1 writes 0+1 | call_decided c6 allow
        "#]],
    );
}

#[test]
fn the_house_caps_calls_per_run() {
    let mut greedy = desk();
    greedy.per_run.calls = Some(1_000);
    let mut modest = anything("modest");
    modest.per_run.calls = Some(1);
    let mut book = book(vec![greedy, modest]);
    book.house.calls_per_run_max = 2;
    let table = r#"
        at | do   | run | agent  | tool       | args
        0s | open | a   | desk   |            |
        1s | call | a   | desk   | crm.lookup | {"id":"1"}
        1s | call | a   | desk   | crm.lookup | {"id":"2"}
        1s | call | a   | desk   | crm.lookup | {"id":"3"}
        0s | open | b   | modest |            |
        1s | call | b   | modest | crm.lookup | {"id":"1"}
        1s | call | b   | modest | crm.lookup | {"id":"2"}
    "#;
    check(
        book,
        table,
        expect![[r#"
        at | do   | run | agent  | tool       | args       | answer                | code                          | account   | event
        0s | open | a   | desk   |            |            | a open until 13:00:00 |                               |           | run_opened
        1s | call | a   | desk   | crm.lookup | {"id":"1"} | allow                 | by desk.may                   | calls 0+1 | call_decided c1 allow; threshold_crossed 50 degrade
        1s | call | a   | desk   | crm.lookup | {"id":"2"} | allow                 | by desk.may                   | calls 0+2 | call_decided c2 allow; threshold_crossed 100 stop
        1s | call | a   | desk   | crm.lookup | {"id":"3"} | deny                  | budget_exceeded (calls) max 2 | calls 0+2 | call_decided c3 deny
        0s | open | b   | modest |            |            | b open until 13:00:01 |                               |           | run_opened
        1s | call | b   | modest | crm.lookup | {"id":"1"} | allow                 | by modest.may                 | calls 0+1 | call_decided c4 allow; threshold_crossed 100 stop
        1s | call | b   | modest | crm.lookup | {"id":"2"} | deny                  | budget_exceeded (calls) max 1 | calls 0+1 | call_decided c5 deny
        "#]],
    );
}

#[test]
fn dollars_are_reserved_then_posted() {
    let mut agent = desk();
    agent.per_run.usd_nanos = Some(25);
    let table = r#"
        at | do     | run | tool       | args        | call
        0s | open   | a   |            |             |
        1s | call   | a   | pay.refund | {"cents":1} |
        1s | call   | a   | pay.refund | {"cents":2} |
        1s | call   | a   | pay.refund | {"cents":3} |
        2s | settle | a   |            | succeeded 4 | c1
        2s | call   | a   | pay.refund | {"cents":3} |
        2s | settle | a   |            | failed      | c2
        2s | settle | a   |            | succeeded 99 | c4
        2s | call   | a   | pay.refund | {"cents":3} |
        2s | call   | a   | pay.refund | {"cents":3} |
    "#;
    check(
        book(vec![agent]),
        table,
        expect![[r#"
        at | do     | run | tool       | args         | call | answer                | code                                        | account                                  | event
        0s | open   | a   |            |              |      | a open until 13:00:00 |                                             |                                          | run_opened
        1s | call   | a   | pay.refund | {"cents":1}  |      | allow                 | by desk.may                                 | calls 0+1 writes 0+1 final 0+1 usd 0+10  | call_decided c1 allow
        1s | call   | a   | pay.refund | {"cents":2}  |      | allow                 | by desk.may                                 | calls 0+2 writes 0+2 final 0+2 usd 0+20  | call_decided c2 allow; threshold_crossed 75 decide
        1s | call   | a   | pay.refund | {"cents":3}  |      | deny                  | budget_exceeded (usd (nano-dollars)) max 25 | calls 0+2 writes 0+2 final 0+2 usd 0+20  | call_decided c3 deny
        2s | settle | a   |            | succeeded 4  | c1   | done                  |                                             | calls 1+1 writes 1+1 final 1+1 usd 4+10  | call_finished c1 succeeded by gate
        2s | call   | a   | pay.refund | {"cents":3}  |      | allow                 | by desk.may                                 | calls 1+2 writes 1+2 final 1+2 usd 4+20  | call_decided c4 allow; threshold_crossed 90 notify
        2s | settle | a   |            | failed       | c2   | done                  |                                             | calls 2+1 writes 2+1 final 2+1 usd 4+10  | call_finished c2 failed by gate
        2s | settle | a   |            | succeeded 99 | c4   | done                  |                                             | calls 3+0 writes 3+0 final 3+0 usd 14+0  | call_finished c4 succeeded by gate
        2s | call   | a   | pay.refund | {"cents":3}  |      | allow                 | by desk.may                                 | calls 3+1 writes 3+1 final 3+1 usd 14+10 | call_decided c5 allow
        2s | call   | a   | pay.refund | {"cents":3}  |      | deny                  | budget_exceeded (usd (nano-dollars)) max 25 | calls 3+1 writes 3+1 final 3+1 usd 14+10 | call_decided c6 deny
        "#]],
    );
}

#[test]
fn unknown_keeps_its_reservation_and_not_dispatched_frees_it() {
    let mut agent = desk();
    agent.per_run.usd_nanos = Some(10);
    let table = r#"
        at | do     | run | tool       | args           | call
        0s | open   | a   |            |                |
        1s | call   | a   | pay.refund | {"cents":1}    |
        1s | settle | a   |            | unknown        | c1
        1s | call   | a   | pay.refund | {"cents":2}    |
        2s | settle | a   |            | unknown        | c1
        2s | settle | a   |            | not_dispatched | c1
        2s | call   | a   | pay.refund | {"cents":2}    |
    "#;
    check(
        book(vec![agent]),
        table,
        expect![[r#"
        at | do     | run | tool       | args           | call | answer                | code                                        | account                                 | event
        0s | open   | a   |            |                |      | a open until 13:00:00 |                                             |                                         | run_opened
        1s | call   | a   | pay.refund | {"cents":1}    |      | allow                 | by desk.may                                 | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c1 allow; threshold_crossed 100 stop
        1s | settle | a   |            | unknown        | c1   | done                  |                                             | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_finished c1 unknown by gate
        1s | call   | a   | pay.refund | {"cents":2}    |      | deny                  | budget_exceeded (usd (nano-dollars)) max 10 | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c2 deny
        2s | settle | a   |            | unknown        | c1   | refused               | call_unknown                                | calls 0+1 writes 0+1 final 0+1 usd 0+10 |
        2s | settle | a   |            | not_dispatched | c1   | done                  |                                             |                                         | call_finished c1 not_dispatched by gate
        2s | call   | a   | pay.refund | {"cents":2}    |      | allow                 | by desk.may                                 | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c3 allow
        "#]],
    );
}

#[test]
fn irreversible_and_writes_and_seconds_have_limits_of_their_own() {
    let mut agent = desk();
    agent.per_run.irreversible = Some(1);
    agent.per_run.writes = Some(2);
    agent.per_run.seconds = Some(60);
    let table = r#"
        at  | do   | run | tool       | args
        0s  | open | a   |            |
        1s  | call | a   | pay.refund | {"cents":1}
        1s  | call | a   | pay.refund | {"cents":2}
        1s  | call | a   | crm.note   | {}
        1s  | call | a   | crm.note   | {}
        59s | call | a   | crm.lookup | {"id":"7"}
        59s | balance | a |           |
        60s | call | a   | crm.lookup | {"id":"7"}
    "#;
    check(
        book(vec![agent]),
        table,
        expect![[r#"
        at  | do      | run | tool       | args        | answer                                                     | code                                       | account                                 | event
        0s  | open    | a   |            |             | a open until 13:00:00                                      |                                            |                                         | run_opened
        1s  | call    | a   | pay.refund | {"cents":1} | allow                                                      | by desk.may                                | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c1 allow; threshold_crossed 100 stop
        1s  | call    | a   | pay.refund | {"cents":2} | deny                                                       | budget_exceeded (irreversible calls) max 1 | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c2 deny
        1s  | call    | a   | crm.note   | {}          | allow                                                      | by desk.may                                | calls 0+2 writes 0+2 final 0+1 usd 0+10 | call_decided c3 allow
        1s  | call    | a   | crm.note   | {}          | deny                                                       | budget_exceeded (writes) max 2             | calls 0+2 writes 0+2 final 0+1 usd 0+10 | call_decided c4 deny
        59s | call    | a   | crm.lookup | {"id":"7"}  | allow                                                      | by desk.may                                | calls 0+3 writes 0+2 final 0+1 usd 0+10 | call_decided c5 allow
        59s | balance | a   |            |             | left {"calls":197,"irreversible":0,"seconds":1,"writes":0} |                                            | calls 0+3 writes 0+2 final 0+1 usd 0+10 |
        60s | call    | a   | crm.lookup | {"id":"7"}  | deny                                                       | budget_exceeded (seconds) max 60           | calls 0+3 writes 0+2 final 0+1 usd 0+10 | call_decided c6 deny
        "#]],
    );
}
