//! Scripts: runs, idempotency keys, executors, and all the ways a call or a run ends.

use expect_test::expect;

use crate::book::{anything, book, desk, manifest, may};
use crate::script::check;

pub(crate) const ALL: &[fn()] = &[
    a_run_must_be_known_own_open_and_in_time,
    an_idempotency_key_means_one_call,
    only_an_executor_decides_without_the_gate,
    nobody_reported_so_it_is_unknown,
    a_restart_marks_what_the_gate_carried,
    time_does_not_go_back,
    closing_a_run_leaves_its_calls_to_be_settled,
];

#[test]
fn a_run_must_be_known_own_open_and_in_time() {
    let other = anything("other");
    let table = r#"
        at  | do    | run | agent | tool       | args
        0s  | open  | a   | ghost |            |
        0s  | open  | a   | desk  |            |
        1s  | call  | z   | desk  | crm.lookup | {"id":"7"}
        1s  | call  | a   | other | crm.lookup | {"id":"7"}
        1s  | close | a   | other |            |
        59m | call  | a   | desk  | crm.lookup | {"id":"7"}
        60m | call  | a   | desk  | crm.lookup | {"id":"7"}
        60m | sweep | a   |       |            |
        60m | call  | a   | desk  | crm.lookup | {"id":"7"}
        61m | open  | b   | desk  |            |
        61m | close | b   | desk  |            |
        61m | close | b   | desk  |            |
        61m | call  | b   | desk  | crm.lookup | {"id":"7"}
        9h  | sweep |     |       |            |
    "#;
    check(
        book(vec![desk(), other]),
        table,
        expect![[r#"
        at  | do    | run | agent | tool       | args       | answer                | code                  | account   | event
        0s  | open  | a   | ghost |            |            | refused               | agent_unknown (ghost) |           |
        0s  | open  | a   | desk  |            |            | a open until 13:00:00 |                       |           | run_opened
        1s  | call  | z   | desk  | crm.lookup | {"id":"7"} | deny                  | run_unknown           |           | call_decided c1 deny
        1s  | call  | a   | other | crm.lookup | {"id":"7"} | deny                  | run_unknown           |           | call_decided c2 deny
        1s  | close | a   | other |            |            | refused               | run_unknown           |           |
        59m | call  | a   | desk  | crm.lookup | {"id":"7"} | allow                 | by desk.may           | calls 0+1 | call_decided c3 allow
        60m | call  | a   | desk  | crm.lookup | {"id":"7"} | deny                  | run_expired           | calls 0+1 | call_decided c4 deny
        60m | sweep | a   |       |            |            | done                  |                       |           | run_closed expired by sweep
        60m | call  | a   | desk  | crm.lookup | {"id":"7"} | deny                  | run_unknown           |           | call_decided c5 deny
        61m | open  | b   | desk  |            |            | b open until 14:01:00 |                       |           | run_opened
        61m | close | b   | desk  |            |            | done                  |                       |           | run_closed success by ann
        61m | close | b   | desk  |            |            | refused               | run_unknown           |           |
        61m | call  | b   | desk  | crm.lookup | {"id":"7"} | deny                  | run_unknown           |           | call_decided c6 deny
        9h  | sweep |     |       |            |            | done                  |                       |           |
        "#]],
    );
}

#[test]
fn an_idempotency_key_means_one_call() {
    let reader = manifest("reader", vec![may("reader.may", "crm.lookup")]);
    let table = r#"
        at | do     | run | agent  | tool       | args       | key | call
        0s | open   | a   |        |            |            |     |
        1s | call   | a   |        | crm.note   | {}         | k   |
        1s | call   | a   |        | crm.note   | {}         | k   |
        2s | settle | a   |        |            | unknown    |     | c1
        2s | call   | a   |        | crm.note   | {}         | k   |
        2s | settle | a   |        |            | succeeded  |     | c1
        2s | call   | a   |        | crm.note   | {}         | k   |
        2s | call   | a   |        | crm.note   | {"text":"x"} | k |
        2s | call   | a   |        | mail.send  | {}         | k   |
        2s | call   | a   |        | crm.note   | {}         | l   |
        3s | open   | b   |        |            |            |     |
        3s | call   | b   |        | crm.note   | {}         | k   |
        3s | call   | b   | reader | crm.note   | {}         | k   |
        3s | call   | b   |        | crm.note   | {}         | k   |
        4s | open   | c   | reader |            |            |     |
        4s | call   | c   | reader | crm.note   | {}         | k   |
        4s | call   | c   | reader | crm.note   | {}         | k   |
    "#;
    check(
        book(vec![desk(), reader]),
        table,
        expect![[r#"
        at | do     | run | agent  | tool      | args         | key | call | answer                       | code                 | account              | event
        0s | open   | a   |        |           |              |     |      | a open until 13:00:00        |                      |                      | run_opened
        1s | call   | a   |        | crm.note  | {}           | k   |      | allow                        | by desk.may          | calls 0+1 writes 0+1 | call_decided c1 allow
        1s | call   | a   |        | crm.note  | {}           | k   |      | same as c1: allow, open      | by desk.may          | calls 0+1 writes 0+1 |
        2s | settle | a   |        |           | unknown      |     | c1   | done                         |                      | calls 0+1 writes 0+1 | call_finished c1 unknown by gate
        2s | call   | a   |        | crm.note  | {}           | k   |      | same as c1: allow, unknown   | by desk.may          | calls 0+1 writes 0+1 |
        2s | settle | a   |        |           | succeeded    |     | c1   | done                         |                      | calls 1+0 writes 1+0 | call_finished c1 succeeded by gate
        2s | call   | a   |        | crm.note  | {}           | k   |      | same as c1: allow, succeeded | by desk.may          | calls 1+0 writes 1+0 |
        2s | call   | a   |        | crm.note  | {"text":"x"} | k   |      | deny                         | idempotency_conflict | calls 1+0 writes 1+0 | request_refused idempotency_conflict in run
        2s | call   | a   |        | mail.send | {}           | k   |      | deny                         | idempotency_conflict | calls 1+0 writes 1+0 | request_refused idempotency_conflict in run
        2s | call   | a   |        | crm.note  | {}           | l   |      | allow                        | by desk.may          | calls 1+1 writes 1+1 | call_decided c7 allow
        3s | open   | b   |        |           |              |     |      | b open until 13:00:03        |                      |                      | run_opened
        3s | call   | b   |        | crm.note  | {}           | k   |      | allow                        | by desk.may          | calls 0+1 writes 0+1 | call_decided c8 allow
        3s | call   | b   | reader | crm.note  | {}           | k   |      | deny                         | run_unknown          | calls 0+1 writes 0+1 | call_decided c9 deny
        3s | call   | b   |        | crm.note  | {}           | k   |      | same as c8: allow, open      | by desk.may          | calls 0+1 writes 0+1 |
        4s | open   | c   | reader |           |              |     |      | c open until 13:00:04        |                      |                      | run_opened
        4s | call   | c   | reader | crm.note  | {}           | k   |      | deny                         | no_rule_allows       |                      | call_decided c11 deny
        4s | call   | c   | reader | crm.note  | {}           | k   |      | same as c11: deny, open      | no_rule_allows       |                      |
        "#]],
    );
}

#[test]
fn only_an_executor_decides_without_the_gate() {
    let mut runner = anything("runner");
    runner.executor = true;
    let table = r#"
        at | do     | run | agent  | tool     | args      | call
        0s | open   | a   | desk   |          |           |
        1s | permit | a   | desk   | crm.note | {}        |
        1s | open   | b   | runner |          |           |
        1s | permit | b   | runner | crm.note | {}        |
        2s | settle | b   |        |          | succeeded | c2
        2s | report | a   |        |          | succeeded | c2
        2s | report | b   | runner |          | succeeded | c2
        2s | report | b   | runner |          | succeeded | c2
        2s | report | b   | runner |          | succeeded | c9
    "#;
    check(
        book(vec![desk(), runner]),
        table,
        expect![[r#"
        at | do     | run | agent  | tool     | args      | call | answer                | code              | account              | event
        0s | open   | a   | desk   |          |           |      | a open until 13:00:00 |                   |                      | run_opened
        1s | permit | a   | desk   | crm.note | {}        |      | deny                  | executor_required |                      | call_decided c1 deny
        1s | open   | b   | runner |          |           |      | b open until 13:00:01 |                   |                      | run_opened
        1s | permit | b   | runner | crm.note | {}        |      | allow                 | by runner.may     | calls 0+1 writes 0+1 | call_decided c2 allow until 12:01:31
        2s | settle | b   |        |          | succeeded | c2   | refused               | call_unknown      | calls 0+1 writes 0+1 |
        2s | report | a   |        |          | succeeded | c2   | refused               | call_unknown      |                      |
        2s | report | b   | runner |          | succeeded | c2   | done                  |                   | calls 1+0 writes 1+0 | call_finished c2 succeeded by executor
        2s | report | b   | runner |          | succeeded | c2   | refused               | call_unknown      | calls 1+0 writes 1+0 |
        2s | report | b   | runner |          | succeeded | c9   | refused               | call_unknown      | calls 1+0 writes 1+0 |
        "#]],
    );
}

#[test]
fn nobody_reported_so_it_is_unknown() {
    let mut agent = desk();
    agent.executor = true;
    let table = r#"
        at   | do     | run | tool       | args        | call
        0s   | open   | a   |            |             |
        0s   | permit | a   | pay.refund | {"cents":1} |
        0s   | call   | a   | pay.refund | {"cents":1} |
        89s  | sweep  | a   |            |             |
        90s  | sweep  | a   |            |             |
        91s  | sweep  | a   |            |             |
        92s  | report | a   |            | unknown     | c1
        92s  | report | a   |            | succeeded 3 | c1
        93s  | report | a   |            | failed      | c1
    "#;
    check(
        book(vec![agent]),
        table,
        expect![[r#"
        at  | do     | run | tool       | args        | call | answer                | code         | account                                 | event
        0s  | open   | a   |            |             |      | a open until 13:00:00 |              |                                         | run_opened
        0s  | permit | a   | pay.refund | {"cents":1} |      | allow                 | by desk.may  | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c1 allow until 12:01:30
        0s  | call   | a   | pay.refund | {"cents":1} |      | allow                 | by desk.may  | calls 0+2 writes 0+2 final 0+2 usd 0+20 | call_decided c2 allow
        89s | sweep  | a   |            |             |      | done                  |              | calls 0+2 writes 0+2 final 0+2 usd 0+20 |
        90s | sweep  | a   |            |             |      | done                  |              | calls 0+2 writes 0+2 final 0+2 usd 0+20 | call_finished c1 unknown by sweep
        91s | sweep  | a   |            |             |      | done                  |              | calls 0+2 writes 0+2 final 0+2 usd 0+20 |
        92s | report | a   |            | unknown     | c1   | refused               | call_unknown | calls 0+2 writes 0+2 final 0+2 usd 0+20 |
        92s | report | a   |            | succeeded 3 | c1   | done                  |              | calls 1+1 writes 1+1 final 1+1 usd 3+10 | call_finished c1 succeeded by executor
        93s | report | a   |            | failed      | c1   | refused               | call_unknown | calls 1+1 writes 1+1 final 1+1 usd 3+10 |
        "#]],
    );
}

#[test]
fn a_restart_marks_what_the_gate_carried() {
    let mut agent = desk();
    agent.executor = true;
    let table = r#"
        at | do      | run | tool       | args        | call
        0s | open    | a   |            |             |
        0s | permit  | a   | pay.refund | {"cents":1} |
        0s | call    | a   | pay.refund | {"cents":2} |
        0s | call    | a   | pay.refund | {"cents":3} |
        0s | call    | a   | pay.refund | {"cents":4} |
        1s | settle  | a   |            | succeeded   | c3
        2s | restart | a   |            |             |
        3s | restart | a   |            |             |
        3s | settle  | a   |            | succeeded   | c2
    "#;
    check(
        book(vec![agent]),
        table,
        expect![[r#"
        at | do      | run | tool       | args        | call | answer                | code        | account                                  | event
        0s | open    | a   |            |             |      | a open until 13:00:00 |             |                                          | run_opened
        0s | permit  | a   | pay.refund | {"cents":1} |      | allow                 | by desk.may | calls 0+1 writes 0+1 final 0+1 usd 0+10  | call_decided c1 allow until 12:01:30
        0s | call    | a   | pay.refund | {"cents":2} |      | allow                 | by desk.may | calls 0+2 writes 0+2 final 0+2 usd 0+20  | call_decided c2 allow
        0s | call    | a   | pay.refund | {"cents":3} |      | allow                 | by desk.may | calls 0+3 writes 0+3 final 0+3 usd 0+30  | call_decided c3 allow
        0s | call    | a   | pay.refund | {"cents":4} |      | allow                 | by desk.may | calls 0+4 writes 0+4 final 0+4 usd 0+40  | call_decided c4 allow
        1s | settle  | a   |            | succeeded   | c3   | done                  |             | calls 1+3 writes 1+3 final 1+3 usd 10+30 | call_finished c3 succeeded by gate
        2s | restart | a   |            |             |      | done                  |             | calls 1+3 writes 1+3 final 1+3 usd 10+30 | call_finished c2 unknown by restart; call_finished c4 unknown by restart
        3s | restart | a   |            |             |      | done                  |             | calls 1+3 writes 1+3 final 1+3 usd 10+30 |
        3s | settle  | a   |            | succeeded   | c2   | done                  |             | calls 2+2 writes 2+2 final 2+2 usd 20+20 | call_finished c2 succeeded by gate
        "#]],
    );
}

#[test]
fn time_does_not_go_back() {
    let table = r#"
        at  | do   | run | tool       | args
        60m | open | a   |            |
        0s  | open | b   |            |
        1s  | call | b   | crm.lookup | {"id":"7"}
    "#;
    check(
        book(vec![desk()]),
        table,
        expect![[r#"
        at  | do   | run | tool       | args       | answer                | code        | account   | event
        60m | open | a   |            |            | a open until 14:00:00 |             |           | run_opened
        0s  | open | b   |            |            | b open until 14:00:00 |             |           | run_opened
        1s  | call | b   | crm.lookup | {"id":"7"} | allow                 | by desk.may | calls 0+1 | call_decided c1 allow
        "#]],
    );
}

#[test]
fn closing_a_run_leaves_its_calls_to_be_settled() {
    let table = r#"
        at | do     | run | tool     | args      | call
        0s | open   | a   |          |           |
        1s | call   | a   | crm.note | {}        |
        2s | close  | a   |          |           |
        3s | settle | a   |          | succeeded | c1
        3s | settle | a   |          | succeeded | c1
    "#;
    check(
        book(vec![desk()]),
        table,
        expect![[r#"
        at | do     | run | tool     | args      | call | answer                | code         | account              | event
        0s | open   | a   |          |           |      | a open until 13:00:00 |              |                      | run_opened
        1s | call   | a   | crm.note | {}        |      | allow                 | by desk.may  | calls 0+1 writes 0+1 | call_decided c1 allow
        2s | close  | a   |          |           |      | done                  |              |                      | run_closed success by ann
        3s | settle | a   |          | succeeded | c1   | done                  |              |                      | call_finished c1 succeeded by gate
        3s | settle | a   |          | succeeded | c1   | refused               | call_unknown |                      |
        "#]],
    );
}
