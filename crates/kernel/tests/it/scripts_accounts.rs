//! Scripts: accounts wider than a run, runs under runs, counts of one's own, pauses and extensions.

use expect_test::expect;
use kernel::account::Limits;
use kernel::agent::May;
use kernel::command::{Answer, Closing, Command, OpenRun};
use kernel::decide::{Decision, decide};
use kernel::event::Stamp;
use kernel::id::RunId;
use kernel::price::Count;
use kernel::reason::Code;
use kernel::state::{Control, State};
use kernel::window::Window;

use crate::book::{anything, book, compile, desk, manifest, may};
use crate::script::{START, check};

pub(crate) const ALL: &[fn()] = &[
    a_day_is_one_account_for_all_runs_and_a_new_one_at_midnight,
    a_tenant_holds_all_its_agents,
    a_child_spends_its_parents_budget,
    a_borrower_takes_from_its_loan_and_gives_the_rest_back,
    a_family_is_as_deep_and_wide_as_the_house_says,
    closing_a_run_closes_what_is_below_it,
    a_count_is_a_budget_and_what_cannot_be_counted_is_refused,
    the_circuit_breaker_pauses_and_a_person_extends,
];

fn usd(nanos: u64) -> Limits {
    Limits { usd_nanos: Some(nanos), ..Limits::default() }
}

#[test]
fn a_day_is_one_account_for_all_runs_and_a_new_one_at_midnight() {
    let mut agent = desk();
    agent.windows = [(Window::Day, usd(20))].into();
    let table = r#"
        at  | do     | run | tool       | args        | call
        0s  | open   | a   |            |             |
        0s  | open   | b   |            |             |
        1s  | call   | a   | pay.refund | {"cents":1} |
        1s  | call   | b   | pay.refund | {"cents":2} |
        1s  | call   | b   | pay.refund | {"cents":3} |
        2s  | settle | a   |            | succeeded 4 | c1
        2s  | call   | b   | pay.refund | {"cents":4} |
        2s  | settle | b   |            | not_dispatched | c2
        2s  | call   | b   | pay.refund | {"cents":5} |
        12h | open   | c   |            |             |
        12h | call   | c   | pay.refund | {"cents":6} |
    "#;
    check(
        book(vec![agent]),
        table,
        expect![[r#"
        at  | do     | run | tool       | args           | call | answer                | code                                        | account                                 | event
        0s  | open   | a   |            |                |      | a open until 13:00:00 |                                             |                                         | run_opened
        0s  | open   | b   |            |                |      | b open until 13:00:00 |                                             |                                         | run_opened
        1s  | call   | a   | pay.refund | {"cents":1}    |      | allow                 | by desk.may                                 | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c1 allow; threshold_crossed 50 degrade of agent:desk
        1s  | call   | b   | pay.refund | {"cents":2}    |      | allow                 | by desk.may                                 | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c2 allow; threshold_crossed 100 stop of agent:desk
        1s  | call   | b   | pay.refund | {"cents":3}    |      | deny                  | budget_exceeded (usd (nano-dollars)) max 20 | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c3 deny
        2s  | settle | a   |            | succeeded 4    | c1   | done                  |                                             | calls 1+0 writes 1+0 final 1+0 usd 4+0  | call_finished c1 succeeded by gate
        2s  | call   | b   | pay.refund | {"cents":4}    |      | deny                  | budget_exceeded (usd (nano-dollars)) max 20 | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c4 deny
        2s  | settle | b   |            | not_dispatched | c2   | done                  |                                             |                                         | call_finished c2 not_dispatched by gate
        2s  | call   | b   | pay.refund | {"cents":5}    |      | allow                 | by desk.may                                 | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c5 allow
        12h | open   | c   |            |                |      | c open until 01:00:00 |                                             |                                         | run_opened
        12h | call   | c   | pay.refund | {"cents":6}    |      | allow                 | by desk.may                                 | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c6 allow; threshold_crossed 50 degrade of agent:desk
    "#]],
    );
}

#[test]
fn a_tenant_holds_all_its_agents() {
    let mut book = book(vec![desk(), anything("other")]);
    let calls = Limits { calls: Some(2), ..Limits::default() };
    book.house.tenants = [("default".into(), [(Window::Month, calls)].into())].into();
    let table = r#"
        at | do   | run | agent | tool       | args
        0s | open | a   | desk  |            |
        0s | open | b   | other |            |
        1s | call | a   | desk  | crm.lookup | {"id":"1"}
        1s | call | b   | other | crm.lookup | {"id":"2"}
        1s | call | a   | desk  | crm.lookup | {"id":"3"}
        1s | call | b   | other | crm.lookup | {"id":"4"}
    "#;
    check(
        book,
        table,
        expect![[r#"
        at | do   | run | agent | tool       | args       | answer                | code                          | account   | event
        0s | open | a   | desk  |            |            | a open until 13:00:00 |                               |           | run_opened
        0s | open | b   | other |            |            | b open until 13:00:00 |                               |           | run_opened
        1s | call | a   | desk  | crm.lookup | {"id":"1"} | allow                 | by desk.may                   | calls 0+1 | call_decided c1 allow; threshold_crossed 50 degrade of tenant:default
        1s | call | b   | other | crm.lookup | {"id":"2"} | allow                 | by other.may                  | calls 0+1 | call_decided c2 allow; threshold_crossed 100 stop of tenant:default
        1s | call | a   | desk  | crm.lookup | {"id":"3"} | deny                  | budget_exceeded (calls) max 2 | calls 0+1 | call_decided c3 deny
        1s | call | b   | other | crm.lookup | {"id":"4"} | deny                  | budget_exceeded (calls) max 2 | calls 0+1 | call_decided c4 deny
    "#]],
    );
}

#[test]
fn a_child_spends_its_parents_budget() {
    let mut agent = desk();
    agent.per_run.usd_nanos = Some(25);
    let table = r#"
        at | do     | run | under | tool       | args           | call
        0s | open   | a   |       |            |                |
        0s | open   | b   | a     |            |                |
        0s | open   | c   | b     |            |                |
        1s | call   | c   |       | pay.refund | {"cents":1}    |
        1s | call   | a   |       | pay.refund | {"cents":2}    |
        1s | call   | c   |       | pay.refund | {"cents":3}    |
        2s | settle | a   |       |            | unknown        | c1
        2s | close  | c   |       |            |                |
        2s | call   | b   |       | pay.refund | {"cents":4}    |
        3s | settle | a   |       |            | not_dispatched | c1
        3s | call   | b   |       | pay.refund | {"cents":5}    |
        3s | settle | a   |       |            | succeeded 1    | c5
        3s | call   | a   |       | crm.note   | {}             |
    "#;
    check(
        book(vec![agent]),
        table,
        expect![[r#"
        at | do     | run | under | tool       | args           | call | answer                | code                                        | account                                 | event
        0s | open   | a   |       |            |                |      | a open until 13:00:00 |                                             |                                         | run_opened
        0s | open   | b   | a     |            |                |      | b open until 13:00:00 |                                             |                                         | run_opened
        0s | open   | c   | b     |            |                |      | c open until 13:00:00 |                                             |                                         | run_opened
        1s | call   | c   |       | pay.refund | {"cents":1}    |      | allow                 | by desk.may                                 | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c1 allow
        1s | call   | a   |       | pay.refund | {"cents":2}    |      | allow                 | by desk.may                                 | calls 0+2 writes 0+2 final 0+2 usd 0+20 | call_decided c2 allow; threshold_crossed 75 decide
        1s | call   | c   |       | pay.refund | {"cents":3}    |      | deny                  | budget_exceeded (usd (nano-dollars)) max 25 | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c3 deny
        2s | settle | a   |       |            | unknown        | c1   | done                  |                                             | calls 0+2 writes 0+2 final 0+2 usd 0+20 | call_finished c1 unknown by gate
        2s | close  | c   |       |            |                |      | done                  |                                             |                                         | run_closed success by ann
        2s | call   | b   |       | pay.refund | {"cents":4}    |      | deny                  | budget_exceeded (usd (nano-dollars)) max 25 | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c4 deny
        3s | settle | a   |       |            | not_dispatched | c1   | done                  |                                             | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_finished c1 not_dispatched by gate
        3s | call   | b   |       | pay.refund | {"cents":5}    |      | allow                 | by desk.may                                 | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c5 allow
        3s | settle | a   |       |            | succeeded 1    | c5   | done                  |                                             | calls 1+1 writes 1+1 final 1+1 usd 1+10 | call_finished c5 succeeded by gate
        3s | call   | a   |       | crm.note   | {}             |      | allow                 | by desk.may                                 | calls 1+2 writes 1+2 final 1+1 usd 1+10 | call_decided c6 allow
    "#]],
    );
}

#[test]
fn a_borrower_takes_from_its_loan_and_gives_the_rest_back() {
    let mut agent = desk();
    agent.per_run.usd_nanos = Some(40);
    let table = r#"
        at | do     | run | under | tool       | args            | call
        0s | open   | a   |       |            |                 |
        0s | open   | b   | a     |            | "usd_nanos":41  |
        0s | open   | b   | a     |            | "usd_nanos":25  |
        1s | call   | a   |       | pay.refund | {"cents":1}     |
        1s | call   | a   |       | pay.refund | {"cents":2}     |
        1s | call   | b   |       | pay.refund | {"cents":3}     |
        1s | call   | b   |       | pay.refund | {"cents":4}     |
        1s | call   | b   |       | pay.refund | {"cents":5}     |
        2s | settle | b   |       |            | succeeded 3     | c3
        2s | settle | a   |       |            | succeeded 10    | c4
        2s | close  | b   |       |            |                 |
        3s | call   | a   |       | pay.refund | {"cents":6}     |
        3s | call   | a   |       | pay.refund | {"cents":7}     |
    "#;
    check(
        book(vec![agent]),
        table,
        expect![[r#"
        at | do     | run | under | tool       | args           | call | answer                | code                                        | account                                  | event
        0s | open   | a   |       |            |                |      | a open until 13:00:00 |                                             |                                          | run_opened
        0s | open   | b   | a     |            | "usd_nanos":41 |      | refused               | budget_exceeded (usd (nano-dollars)) max 40 |                                          |
        0s | open   | b   | a     |            | "usd_nanos":25 |      | b open until 13:00:00 |                                             |                                          | run_opened
        1s | call   | a   |       | pay.refund | {"cents":1}    |      | allow                 | by desk.may                                 | calls 0+1 writes 0+1 final 0+1 usd 0+10  | call_decided c1 allow; threshold_crossed 75 decide
        1s | call   | a   |       | pay.refund | {"cents":2}    |      | deny                  | budget_exceeded (usd (nano-dollars)) max 40 | calls 0+1 writes 0+1 final 0+1 usd 0+10  | call_decided c2 deny
        1s | call   | b   |       | pay.refund | {"cents":3}    |      | allow                 | by desk.may                                 | calls 0+1 writes 0+1 final 0+1 usd 0+10  | call_decided c3 allow; threshold_crossed 100 stop
        1s | call   | b   |       | pay.refund | {"cents":4}    |      | allow                 | by desk.may                                 | calls 0+2 writes 0+2 final 0+2 usd 0+20  | call_decided c4 allow; threshold_crossed 75 decide
        1s | call   | b   |       | pay.refund | {"cents":5}    |      | deny                  | budget_exceeded (usd (nano-dollars)) max 25 | calls 0+2 writes 0+2 final 0+2 usd 0+20  | call_decided c5 deny
        2s | settle | b   |       |            | succeeded 3    | c3   | done                  |                                             | calls 1+1 writes 1+1 final 1+1 usd 3+10  | call_finished c3 succeeded by gate
        2s | settle | a   |       |            | succeeded 10   | c4   | done                  |                                             | calls 2+1 writes 2+1 final 2+1 usd 13+10 | call_finished c4 succeeded by gate
        2s | close  | b   |       |            |                |      | done                  |                                             |                                          | run_closed success by ann
        3s | call   | a   |       | pay.refund | {"cents":6}    |      | allow                 | by desk.may                                 | calls 2+2 writes 2+2 final 2+2 usd 13+20 | call_decided c6 allow
        3s | call   | a   |       | pay.refund | {"cents":7}    |      | deny                  | budget_exceeded (usd (nano-dollars)) max 40 | calls 2+2 writes 2+2 final 2+2 usd 13+20 | call_decided c7 deny
    "#]],
    );
}

#[test]
fn a_family_is_as_deep_and_wide_as_the_house_says() {
    let mut book = book(vec![desk(), anything("other")]);
    (book.house.depth_max, book.house.children_max) = (1, 2);
    let table = r#"
        at  | do   | run | under | agent | args
        0s  | open | a   |       | desk  |
        0s  | open | b   | a     | desk  |
        0s  | open | c   | b     | desk  |
        0s  | open | d   | a     | desk  |
        0s  | open | e   | a     | desk  |
        0s  | open | e   | a     | other |
        1h  | open | e   | a     | desk  |
    "#;
    check(
        book,
        table,
        expect![[r#"
        at | do   | run | under | agent | args | answer                | code                   | account | event
        0s | open | a   |       | desk  |      | a open until 13:00:00 |                        |         | run_opened
        0s | open | b   | a     | desk  |      | b open until 13:00:00 |                        |         | run_opened
        0s | open | c   | b     | desk  |      | refused               | depth_reached max 1    |         |
        0s | open | d   | a     | desk  |      | d open until 13:00:00 |                        |         | run_opened
        0s | open | e   | a     | desk  |      | refused               | children_reached max 2 |         |
        0s | open | e   | a     | other |      | refused               | run_unknown            |         |
        1h | open | e   | a     | desk  |      | refused               | run_expired            |         |
    "#]],
    );
}

#[test]
fn closing_a_run_closes_what_is_below_it() {
    let table = r#"
        at | do    | run | under | tool       | args
        0s | open  | a   |       |            |
        0s | open  | b   | a     |            |
        0s | open  | c   | b     |            |
        1s | close | a   |       |            |
        1s | call  | c   |       | crm.lookup | {"id":"1"}
        2s | open  | a   |       |            |
        2s | open  | d   | a     |            |
        2h | sweep |     |       |            |
    "#;
    check(
        book(vec![desk()]),
        table,
        expect![[r#"
        at | do    | run | under | tool       | args       | answer                | code        | account | event
        0s | open  | a   |       |            |            | a open until 13:00:00 |             |         | run_opened
        0s | open  | b   | a     |            |            | b open until 13:00:00 |             |         | run_opened
        0s | open  | c   | b     |            |            | c open until 13:00:00 |             |         | run_opened
        1s | close | a   |       |            |            | done                  |             |         | run_closed abandoned by ann; run_closed abandoned by ann; run_closed success by ann
        1s | call  | c   |       | crm.lookup | {"id":"1"} | deny                  | run_unknown |         | call_decided c1 deny
        2s | open  | a   |       |            |            | a open until 13:00:02 |             |         | run_opened
        2s | open  | d   | a     |            |            | d open until 13:00:02 |             |         | run_opened
        2h | sweep |     |       |            |            | done                  |             |         | run_closed abandoned by sweep; run_closed expired by sweep
    "#]],
    );
}

#[test]
fn a_count_is_a_budget_and_what_cannot_be_counted_is_refused() {
    let counts = vec![Count { name: "refunded_cents".into(), path: vec!["cents".into()] }];
    let mut agent = manifest("desk", vec![May { counts, ..may("desk.may", "*") }]);
    let cents = Limits { counted: [("refunded_cents".to_owned(), 500)].into(), ..Limits::default() };
    agent.windows = [(Window::Day, cents)].into();
    let table = r#"
        at | do     | run | tool       | args           | call
        0s | open   | a   |            |                |
        1s | call   | a   | pay.refund | {"cents":400}  |
        1s | call   | a   | pay.refund | {"cents":101}  |
        1s | call   | a   | pay.refund | {"cents":100}  |
        1s | settle | a   |            | failed         | c1
        1s | call   | a   | pay.refund | {"cents":1}    |
        1s | call   | a   | pay.refund | {"cents":-400} |
        1s | call   | a   | pay.refund | {"cents":0}    |
        1s | call   | a   | crm.note   | {}             |
    "#;
    check(
        book(vec![agent]),
        table,
        expect![[r#"
        at | do     | run | tool       | args           | call | answer                | code                                     | account                                 | event
        0s | open   | a   |            |                |      | a open until 13:00:00 |                                          |                                         | run_opened
        1s | call   | a   | pay.refund | {"cents":400}  |      | allow                 | by desk.may                              | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c1 allow; threshold_crossed 75 decide of agent:desk
        1s | call   | a   | pay.refund | {"cents":101}  |      | deny                  | budget_exceeded (refunded_cents) max 500 | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c2 deny
        1s | call   | a   | pay.refund | {"cents":100}  |      | allow                 | by desk.may                              | calls 0+2 writes 0+2 final 0+2 usd 0+20 | call_decided c3 allow; threshold_crossed 100 stop of agent:desk
        1s | settle | a   |            | failed         | c1   | done                  |                                          | calls 1+1 writes 1+1 final 1+1 usd 0+10 | call_finished c1 failed by gate
        1s | call   | a   | pay.refund | {"cents":1}    |      | allow                 | by desk.may                              | calls 1+2 writes 1+2 final 1+2 usd 0+20 | call_decided c4 allow
        1s | call   | a   | pay.refund | {"cents":-400} |      | deny                  | count_invalid at /cents (refunded_cents) | calls 1+2 writes 1+2 final 1+2 usd 0+20 | call_decided c5 deny
        1s | call   | a   | pay.refund | {"cents":0}    |      | allow                 | by desk.may                              | calls 1+3 writes 1+3 final 1+3 usd 0+30 | call_decided c6 allow
        1s | call   | a   | crm.note   | {}             |      | deny                  | count_invalid at /cents (refunded_cents) | calls 1+3 writes 1+3 final 1+3 usd 0+30 | call_decided c7 deny
        "#]],
    );
}

#[test]
fn the_circuit_breaker_pauses_and_a_person_extends() {
    let mut agent = desk();
    agent.per_run.usd_nanos = Some(15);
    let mut book = book(vec![agent]);
    book.house.pauses = true;
    let table = r#"
        at  | do      | run | under | tool       | args           | key
        0s  | open    | a   |       |            |                |
        0s  | open    | b   | a     |            |                |
        1s  | call    | b   |       | pay.refund | {"cents":1}    |
        1s  | call    | b   |       | pay.refund | {"cents":2}    |
        1s  | call    | a   |       | crm.lookup | {"id":"1"}     |
        1s  | open    | c   | a     |            |                |
        2s  | extend  | a   |       |            | "usd_nanos":16 | 1m
        2s  | extend  | a   |       |            | "writes":1     | 1m
        2s  | extend  | b   |       |            | "writes":1     | 1m
        2s  | extend  | a   |       |            |                | 1m
        2s  | extend  | a   |       |            | "usd_nanos":10 | 1m
        2s  | extend  | a   |       |            | "usd_nanos":6  | 1m
        3s  | call    | b   |       | pay.refund | {"cents":3}    |
        65s | call    | b   |       | pay.refund | {"cents":4}    |
        66s | go on   | a   |       |            |                |
        66s | go on   | a   |       |            |                |
        66s | pause   | a   |       |            |                |
        66s | pause   | a   |       |            |                |
        66s | charge  | a   |       |            | "usd_nanos":9,"human_minutes":4 |
        66s | correct | a   |       |            |                |
        66s | close   | a   |       |            |                |
        66s | correct | a   |       |            |                |
        66s | charge  | a   |       |            | "usd_nanos":9  |
    "#;
    check(
        book,
        table,
        expect![[r#"
        at  | do      | run | under | tool       | args                            | key | answer                | code                                                                                                 | account                                                   | event
        0s  | open    | a   |       |            |                                 |     | a open until 13:00:00 |                                                                                                      |                                                           | run_opened
        0s  | open    | b   | a     |            |                                 |     | b open until 13:00:00 |                                                                                                      |                                                           | run_opened
        1s  | call    | b   |       | pay.refund | {"cents":1}                     |     | allow                 | by desk.may                                                                                          | calls 0+1 writes 0+1 final 0+1 usd 0+10                   | call_decided c1 allow; threshold_crossed 50 degrade
        1s  | call    | b   |       | pay.refund | {"cents":2}                     |     | deny                  | budget_exceeded (usd (nano-dollars)) max 15                                                          | calls 0+1 writes 0+1 final 0+1 usd 0+10                   | call_decided c2 deny; run_paused by circuit_breaker
        1s  | call    | a   |       | crm.lookup | {"id":"1"}                      |     | deny                  | run_paused (its budget of 0.000000015 usd is spent)                                                  | calls 0+1 writes 0+1 final 0+1 usd 0+10                   | call_decided c3 deny
        1s  | open    | c   | a     |            |                                 |     | refused               | run_paused (its budget of 0.000000015 usd is spent)                                                  |                                                           |
        2s  | extend  | a   |       |            | "usd_nanos":16                  | 1m  | refused               | extension_too_large (usd (nano-dollars)) max 15                                                      | calls 0+1 writes 0+1 final 0+1 usd 0+10                   |
        2s  | extend  | a   |       |            | "writes":1                      | 1m  | refused               | extension_too_large (a currency that it has no limit in) max 0                                       | calls 0+1 writes 0+1 final 0+1 usd 0+10                   |
        2s  | extend  | b   |       |            | "writes":1                      | 1m  | refused               | extension_too_large (anything: it is under another run, and the first of them can be extended) max 0 | calls 0+1 writes 0+1 final 0+1 usd 0+10                   |
        2s  | extend  | a   |       |            |                                 | 1m  | refused               | extension_too_large (nothing: name an amount) max 0                                                  | calls 0+1 writes 0+1 final 0+1 usd 0+10                   |
        2s  | extend  | a   |       |            | "usd_nanos":10                  | 1m  | done                  |                                                                                                      | calls 0+1 writes 0+1 final 0+1 usd 0+10                   | run_extended
        2s  | extend  | a   |       |            | "usd_nanos":6                   | 1m  | refused               | extension_too_large (usd (nano-dollars)) max 15                                                      | calls 0+1 writes 0+1 final 0+1 usd 0+10                   |
        3s  | call    | b   |       | pay.refund | {"cents":3}                     |     | allow                 | by desk.may                                                                                          | calls 0+2 writes 0+2 final 0+2 usd 0+20                   | call_decided c4 allow; threshold_crossed 75 decide
        65s | call    | b   |       | pay.refund | {"cents":4}                     |     | deny                  | budget_exceeded (usd (nano-dollars)) max 15                                                          | calls 0+2 writes 0+2 final 0+2 usd 0+20                   | call_decided c5 deny; run_paused by circuit_breaker
        66s | go on   | a   |       |            |                                 |     | done                  |                                                                                                      | calls 0+2 writes 0+2 final 0+2 usd 0+20                   | run_resumed
        66s | go on   | a   |       |            |                                 |     | refused               | run_not_paused                                                                                       | calls 0+2 writes 0+2 final 0+2 usd 0+20                   |
        66s | pause   | a   |       |            |                                 |     | done                  |                                                                                                      | calls 0+2 writes 0+2 final 0+2 usd 0+20                   | run_paused by ann
        66s | pause   | a   |       |            |                                 |     | refused               | run_paused (because)                                                                                 | calls 0+2 writes 0+2 final 0+2 usd 0+20                   |
        66s | charge  | a   |       |            | "usd_nanos":9,"human_minutes":4 |     | done                  |                                                                                                      | calls 0+2 writes 0+2 final 0+2 usd 9+20 human minutes 4+0 | charged
        66s | correct | a   |       |            |                                 |     | refused               | run_open                                                                                             | calls 0+2 writes 0+2 final 0+2 usd 9+20 human minutes 4+0 |
        66s | close   | a   |       |            |                                 |     | done                  |                                                                                                      |                                                           | run_closed abandoned by ann; run_closed success by ann
        66s | correct | a   |       |            |                                 |     | done                  |                                                                                                      |                                                           | run_corrected
        66s | charge  | a   |       |            | "usd_nanos":9                   |     | refused               | run_unknown                                                                                          |                                                           |
        "#]],
    );
}

/// All of a family are closed with the first of it, in one batch: so it has so many and no more.
#[test]
fn a_family_has_five_hundred_open_runs_at_most() {
    let mut book = book(vec![desk()]);
    (book.house.depth_max, book.house.children_max) = (600, 600);
    let (rules, mut state) = (compile(book), State::default());
    let mut tell = |command: Command| {
        let Decision { answer, events } = decide(&state, &Control::default(), &rules, &command, START);
        for event in events {
            let stamp = Stamp { at: START, lane: 1, lane_seq: state.seq + 1, tenant: "default".into() };
            state.apply(&stamp, &event);
        }
        answer
    };
    // Every other one is a step deeper.
    let open = |number: u128| {
        let parent = (number > 1).then(|| RunId(number / 2 * 2 - 1));
        let (run, agent) = (RunId(number), "desk".to_owned());
        let (person, intent, implicit, budget, credential) = (None, None, None, None, None);
        Command::OpenRun(OpenRun { run, agent, person, intent, implicit, parent, budget, credential })
    };
    for number in 1..=500 {
        assert!(matches!(tell(open(number)), Answer::Opened { .. }), "{number}");
    }
    let Answer::Refused(reason) = tell(open(501)) else { panic!("one more was opened") };
    assert_eq!((reason.code, reason.limit), (Code::ChildrenReached, Some(500)));
    let (outcome, by) = (Closing::Success, "desk".to_owned());
    tell(Command::CloseRun { run: RunId(500), agent: None, outcome, workflow: None, by });
    assert!(matches!(tell(open(501)), Answer::Opened { .. }));
}
