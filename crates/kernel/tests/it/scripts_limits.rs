//! Scripts: stopping rules. How much, how fast and how wide a run may go, and whether it goes in circles.

use expect_test::expect;
use kernel::agent::{Manifest, May};
use kernel::book::Book;
use kernel::contract::ToolRate;
use kernel::stopping::{Caps, StoppingRules};

use crate::book::{anything, book, desk, manifest, may};
use crate::script::check;

pub(crate) const ALL: &[fn()] = &[
    a_run_may_do_so_much,
    an_agent_may_do_so_much_in_a_minute,
    places_are_counted_once_each,
    a_tool_may_be_called_so_often,
    a_line_may_be_used_so_often_in_a_minute,
    a_run_ends_when_its_time_is_over_or_nothing_happens,
    the_same_call_over_and_over_is_a_loop,
    the_same_result_over_and_over_is_a_loop,
    two_calls_that_take_turns_are_a_loop,
    a_retry_is_no_replan,
    what_passes_may_come_again,
    what_is_unknown_may_not_come_again,
    replans_are_counted,
];

fn limited(limits: StoppingRules) -> Book {
    book(vec![Manifest { limits, ..desk() }])
}

fn per_run(caps: Caps) -> Book {
    limited(StoppingRules { per_run: caps, ..StoppingRules::default() })
}

fn per_minute(caps: Caps) -> Book {
    limited(StoppingRules { per_minute: caps, ..StoppingRules::default() })
}

#[test]
fn a_run_may_do_so_much() {
    let caps = Caps { calls: Some(7), writes: Some(2), retries: Some(1), ..Caps::default() };
    let rules = StoppingRules { per_run: caps, parallel: Some(3), ..StoppingRules::default() };
    let table = r#"
        at | do     | run | tool       | args           | call
        0s | open   | a   |            |                |
        1s | call   | a   | crm.lookup | {"id":"1"}     |
        1s | call   | a   | crm.lookup | {"id":"2"}     |
        1s | call   | a   | crm.lookup | {"id":"3"}     |
        1s | call   | a   | crm.lookup | {"id":"4"}     |
        2s | settle | a   |            | failed         | c1
        2s | settle | a   |            | unknown        | c2
        2s | call   | a   | crm.lookup | {"id":"1"}     |
        2s | settle | a   |            | failed         | c5
        3s | call   | a   | crm.lookup | {"id":"1"}     |
        3s | settle | a   |            | succeeded      | c2
        4s | call   | a   | crm.note   | {}             |
        4s | settle | a   |            | succeeded      | c7
        4s | call   | a   | crm.note   | {"text":"x"}   |
        4s | settle | a   |            | succeeded      | c8
        4s | call   | a   | crm.note   | {"text":"y"}   |
        4s | call   | a   | crm.lookup | {"id":"6"}     |
        4s | settle | a   |            | succeeded      | c10
        4s | call   | a   | crm.lookup | {"id":"7"}     |
        5s | open   | b   |            |                |
        5s | call   | b   | crm.note   | {}             |
    "#;
    check(
        limited(rules),
        table,
        expect![[r#"
        at | do     | run | tool       | args         | call | answer                | code                                           | account              | event
        0s | open   | a   |            |              |      | a open until 13:00:00 |                                                |                      | run_opened
        1s | call   | a   | crm.lookup | {"id":"1"}   |      | allow                 | by desk.may                                    | calls 0+1            | call_decided c1 allow
        1s | call   | a   | crm.lookup | {"id":"2"}   |      | allow                 | by desk.may                                    | calls 0+2            | call_decided c2 allow
        1s | call   | a   | crm.lookup | {"id":"3"}   |      | allow                 | by desk.may                                    | calls 0+3            | call_decided c3 allow
        1s | call   | a   | crm.lookup | {"id":"4"}   |      | deny                  | limit_reached (calls of one run at once) max 3 | calls 0+3            | call_decided c4 deny
        2s | settle | a   |            | failed       | c1   | done                  |                                                | calls 1+2            | call_finished c1 failed by gate
        2s | settle | a   |            | unknown      | c2   | done                  |                                                | calls 1+2            | call_finished c2 unknown by gate
        2s | call   | a   | crm.lookup | {"id":"1"}   |      | allow                 | by desk.may                                    | calls 1+3            | call_decided c5 allow
        2s | settle | a   |            | failed       | c5   | done                  |                                                | calls 2+2            | call_finished c5 failed by gate
        3s | call   | a   | crm.lookup | {"id":"1"}   |      | deny                  | limit_reached (retries in one run) max 1       | calls 2+2            | call_decided c6 deny
        3s | settle | a   |            | succeeded    | c2   | done                  |                                                | calls 3+1            | call_finished c2 succeeded by gate
        4s | call   | a   | crm.note   | {}           |      | allow                 | by desk.may                                    | calls 3+2 writes 0+1 | call_decided c7 allow
        4s | settle | a   |            | succeeded    | c7   | done                  |                                                | calls 4+1 writes 1+0 | call_finished c7 succeeded by gate
        4s | call   | a   | crm.note   | {"text":"x"} |      | allow                 | by desk.may                                    | calls 4+2 writes 1+1 | call_decided c8 allow
        4s | settle | a   |            | succeeded    | c8   | done                  |                                                | calls 5+1 writes 2+0 | call_finished c8 succeeded by gate
        4s | call   | a   | crm.note   | {"text":"y"} |      | deny                  | limit_reached (writes in one run) max 2        | calls 5+1 writes 2+0 | call_decided c9 deny
        4s | call   | a   | crm.lookup | {"id":"6"}   |      | allow                 | by desk.may                                    | calls 5+2 writes 2+0 | call_decided c10 allow
        4s | settle | a   |            | succeeded    | c10  | done                  |                                                | calls 6+1 writes 2+0 | call_finished c10 succeeded by gate
        4s | call   | a   | crm.lookup | {"id":"7"}   |      | deny                  | limit_reached (calls in one run) max 7         | calls 6+1 writes 2+0 | call_decided c11 deny
        5s | open   | b   |            |              |      | b open until 13:00:05 |                                                |                      | run_opened
        5s | call   | b   | crm.note   | {}           |      | allow                 | by desk.may                                    | calls 0+1 writes 0+1 | call_decided c12 allow
        "#]],
    );
}

#[test]
fn an_agent_may_do_so_much_in_a_minute() {
    let caps = Caps { calls: Some(3), writes: Some(1), retries: Some(0), ..Caps::default() };
    let table = r#"
        at    | do     | run | tool       | args         | call
        0s    | open   | a   |            |              |
        0s    | open   | b   |            |              |
        1s    | call   | a   | crm.note   | {}           |
        1500ms | call  | b   | crm.note   | {"text":"x"} |
        30s   | call   | b   | crm.lookup | {"id":"1"}   |
        30s   | settle | b   |            | failed       | c3
        31s   | call   | b   | crm.lookup | {"id":"1"}   |
        40s   | call   | a   | crm.lookup | {"id":"2"}   |
        41s   | call   | a   | crm.lookup | {"id":"3"}   |
        61s   | call   | a   | crm.lookup | {"id":"4"}   |
        62s   | call   | b   | crm.note   | {"text":"x"} |
        63s   | call   | a   | crm.lookup | {"id":"5"}   |
        91s   | call   | a   | crm.lookup | {"id":"6"}   |
    "#;
    check(
        per_minute(caps),
        table,
        expect![[r#"
        at     | do     | run | tool       | args         | call | answer                | code                                                                 | account              | event
        0s     | open   | a   |            |              |      | a open until 13:00:00 |                                                                      |                      | run_opened
        0s     | open   | b   |            |              |      | b open until 13:00:00 |                                                                      |                      | run_opened
        1s     | call   | a   | crm.note   | {}           |      | allow                 | by desk.may                                                          | calls 0+1 writes 0+1 | call_decided c1 allow
        1500ms | call   | b   | crm.note   | {"text":"x"} |      | deny                  | limit_reached (writes of this agent in a minute) max 1 again in 61 s |                      | call_decided c2 deny
        30s    | call   | b   | crm.lookup | {"id":"1"}   |      | allow                 | by desk.may                                                          | calls 0+1            | call_decided c3 allow
        30s    | settle | b   |            | failed       | c3   | done                  |                                                                      | calls 1+0            | call_finished c3 failed by gate
        31s    | call   | b   | crm.lookup | {"id":"1"}   |      | deny                  | limit_reached (retries of this agent in a minute) max 0              | calls 1+0            | call_decided c4 deny
        40s    | call   | a   | crm.lookup | {"id":"2"}   |      | allow                 | by desk.may                                                          | calls 0+2 writes 0+1 | call_decided c5 allow
        41s    | call   | a   | crm.lookup | {"id":"3"}   |      | deny                  | limit_reached (calls of this agent in a minute) max 3 again in 21 s  | calls 0+2 writes 0+1 | call_decided c6 deny
        61s    | call   | a   | crm.lookup | {"id":"4"}   |      | deny                  | limit_reached (calls of this agent in a minute) max 3 again in 1 s   | calls 0+2 writes 0+1 | call_decided c7 deny
        62s    | call   | b   | crm.note   | {"text":"x"} |      | allow                 | by desk.may                                                          | calls 1+1 writes 0+1 | call_decided c8 allow
        63s    | call   | a   | crm.lookup | {"id":"5"}   |      | deny                  | limit_reached (calls of this agent in a minute) max 3 again in 28 s  | calls 0+2 writes 0+1 | call_decided c9 deny
        91s    | call   | a   | crm.lookup | {"id":"6"}   |      | allow                 | by desk.may                                                          | calls 0+3 writes 0+1 | call_decided c10 allow
    "#]],
    );
}

#[test]
fn places_are_counted_once_each() {
    let run = Caps { destinations: Some(3), hosts: Some(2), ..Caps::default() };
    let minute = Caps { destinations: Some(2), ..Caps::default() };
    let rules = StoppingRules { per_run: run, per_minute: minute, ..StoppingRules::default() };
    let table = r#"
        at   | do   | run | tool      | args
        0s   | open | a   |           |
        1s   | call | a   | mail.send | {"to":"kim@a.example"}
        1s   | call | a   | mail.send | {"to":"kim@a.example"}
        2s   | call | a   | mail.send | {"to":"lee@a.example"}
        3s   | call | a   | mail.send | {"to":"sam@a.example"}
        61s  | call | a   | mail.send | {"to":"sam@a.example"}
        90s  | call | a   | mail.send | {"to":"kim@a.example"}
        180s | call | a   | mail.send | {"to":"ann@a.example"}
        180s | open | b   |           |
        181s | call | b   | mail.send | {"to":"kim@a.example"}
        182s | call | b   | mail.send | {"to":"kim@b.example"}
        250s | call | b   | mail.send | {"to":"kim@c.example"}
    "#;
    check(
        limited(rules),
        table,
        expect![[r#"
        at   | do   | run | tool      | args                   | answer                | code                                                                       | account                        | event
        0s   | open | a   |           |                        | a open until 13:00:00 |                                                                            |                                | run_opened
        1s   | call | a   | mail.send | {"to":"kim@a.example"} | allow                 | by desk.may                                                                | calls 0+1 writes 0+1 final 0+1 | call_decided c1 allow
        1s   | call | a   | mail.send | {"to":"kim@a.example"} | allow                 | by desk.may                                                                | calls 0+2 writes 0+2 final 0+2 | call_decided c2 allow
        2s   | call | a   | mail.send | {"to":"lee@a.example"} | allow                 | by desk.may                                                                | calls 0+3 writes 0+3 final 0+3 | call_decided c3 allow
        3s   | call | a   | mail.send | {"to":"sam@a.example"} | deny                  | limit_reached (destinations of this agent in a minute) max 2 again in 58 s | calls 0+3 writes 0+3 final 0+3 | call_decided c4 deny
        61s  | call | a   | mail.send | {"to":"sam@a.example"} | allow                 | by desk.may                                                                | calls 0+4 writes 0+4 final 0+4 | call_decided c5 allow
        90s  | call | a   | mail.send | {"to":"kim@a.example"} | allow                 | by desk.may                                                                | calls 0+5 writes 0+5 final 0+5 | call_decided c6 allow
        180s | call | a   | mail.send | {"to":"ann@a.example"} | deny                  | limit_reached (destinations in one run) max 3                              | calls 0+5 writes 0+5 final 0+5 | call_decided c7 deny
        180s | open | b   |           |                        | b open until 13:03:00 |                                                                            |                                | run_opened
        181s | call | b   | mail.send | {"to":"kim@a.example"} | allow                 | by desk.may                                                                | calls 0+1 writes 0+1 final 0+1 | call_decided c8 allow
        182s | call | b   | mail.send | {"to":"kim@b.example"} | allow                 | by desk.may                                                                | calls 0+2 writes 0+2 final 0+2 | call_decided c9 allow
        250s | call | b   | mail.send | {"to":"kim@c.example"} | deny                  | limit_reached (hosts in one run) max 2                                     | calls 0+2 writes 0+2 final 0+2 | call_decided c10 deny
    "#]],
    );
}

#[test]
fn a_tool_may_be_called_so_often() {
    let mut book = book(vec![desk(), anything("other")]);
    let rate = ToolRate { per_minute: Some(3), per_destination_per_minute: Some(1), per_run: None };
    book.tools.get_mut("mail.send").unwrap().rate = rate;
    book.tools.get_mut("crm.lookup").unwrap().rate = ToolRate { per_run: Some(1), ..ToolRate::default() };
    let table = r#"
        at  | do   | run | agent | tool       | args
        0s  | open | a   | desk  |            |
        0s  | open | b   | other |            |
        1s  | call | a   | desk  | mail.send  | {"to":"kim@a.example"}
        2s  | call | b   | other | mail.send  | {"to":"kim@a.example"}
        3s  | call | b   | other | mail.send  | {"to":"lee@a.example"}
        4s  | call | a   | desk  | mail.send  | {"to":"sam@a.example"}
        5s  | call | a   | desk  | mail.send  | {"to":"ann@a.example"}
        62s | call | b   | other | mail.send  | {"to":"kim@a.example"}
        62s | call | a   | desk  | crm.lookup | {"id":"1"}
        62s | call | a   | desk  | crm.lookup | {"id":"2"}
        62s | call | b   | other | crm.lookup | {"id":"2"}
    "#;
    check(
        book,
        table,
        expect![[r#"
        at  | do   | run | agent | tool       | args                   | answer                | code                                                                                  | account                        | event
        0s  | open | a   | desk  |            |                        | a open until 13:00:00 |                                                                                       |                                | run_opened
        0s  | open | b   | other |            |                        | b open until 13:00:00 |                                                                                       |                                | run_opened
        1s  | call | a   | desk  | mail.send  | {"to":"kim@a.example"} | allow                 | by desk.may                                                                           | calls 0+1 writes 0+1 final 0+1 | call_decided c1 allow
        2s  | call | b   | other | mail.send  | {"to":"kim@a.example"} | deny                  | limit_reached (calls of this tool to one destination in a minute) max 1 again in 60 s |                                | call_decided c2 deny
        3s  | call | b   | other | mail.send  | {"to":"lee@a.example"} | allow                 | by other.may                                                                          | calls 0+1 writes 0+1 final 0+1 | call_decided c3 allow
        4s  | call | a   | desk  | mail.send  | {"to":"sam@a.example"} | allow                 | by desk.may                                                                           | calls 0+2 writes 0+2 final 0+2 | call_decided c4 allow
        5s  | call | a   | desk  | mail.send  | {"to":"ann@a.example"} | deny                  | limit_reached (calls of this tool in a minute) max 3 again in 57 s                    | calls 0+2 writes 0+2 final 0+2 | call_decided c5 deny
        62s | call | b   | other | mail.send  | {"to":"kim@a.example"} | allow                 | by other.may                                                                          | calls 0+2 writes 0+2 final 0+2 | call_decided c6 allow
        62s | call | a   | desk  | crm.lookup | {"id":"1"}             | allow                 | by desk.may                                                                           | calls 0+3 writes 0+2 final 0+2 | call_decided c7 allow
        62s | call | a   | desk  | crm.lookup | {"id":"2"}             | deny                  | limit_reached (calls of this tool in one run) max 1                                   | calls 0+3 writes 0+2 final 0+2 | call_decided c8 deny
        62s | call | b   | other | crm.lookup | {"id":"2"}             | allow                 | by other.may                                                                          | calls 0+3 writes 0+2 final 0+2 | call_decided c9 allow
    "#]],
    );
}

#[test]
fn a_line_may_be_used_so_often_in_a_minute() {
    let line = May { calls_per_minute_max: Some(2), ..may("desk.may[1]", "crm.*") };
    let book = book(vec![manifest("desk", vec![line, may("desk.may[2]", "crm.note")])]);
    let table = r#"
        at  | do   | run | tool       | args
        0s  | open | a   |            |
        0s  | open | b   |            |
        1s  | call | a   | crm.lookup | {"id":"1"}
        1s  | call | b   | crm.lookup | {"id":"2"}
        1s  | call | a   | crm.lookup | {"id":"3"}
        1s  | call | a   | crm.note   | {}
        62s | call | a   | crm.lookup | {"id":"4"}
    "#;
    check(
        book,
        table,
        expect![[r#"
        at  | do   | run | tool       | args       | answer                | code                                                                             | account              | event
        0s  | open | a   |            |            | a open until 13:00:00 |                                                                                  |                      | run_opened
        0s  | open | b   |            |            | b open until 13:00:00 |                                                                                  |                      | run_opened
        1s  | call | a   | crm.lookup | {"id":"1"} | allow                 | by desk.may[1]                                                                   | calls 0+1            | call_decided c1 allow
        1s  | call | b   | crm.lookup | {"id":"2"} | allow                 | by desk.may[1]                                                                   | calls 0+1            | call_decided c2 allow
        1s  | call | a   | crm.lookup | {"id":"3"} | deny                  | limit_reached (calls of this tool by this agent in a minute) max 2 again in 61 s | calls 0+1            | call_decided c3 deny
        1s  | call | a   | crm.note   | {}         | allow                 | by desk.may[1]; by desk.may[2]                                                   | calls 0+2 writes 0+1 | call_decided c4 allow
        62s | call | a   | crm.lookup | {"id":"4"} | allow                 | by desk.may[1]                                                                   | calls 0+3 writes 0+1 | call_decided c5 allow
    "#]],
    );
}

#[test]
fn a_run_ends_when_its_time_is_over_or_nothing_happens() {
    let rules =
        StoppingRules { duration_ms: Some(600_000), idle_ms: Some(60_000), ..StoppingRules::default() };
    let table = r#"
        at   | do    | run | under | tool       | args
        0s   | open  | a   |       |            |
        0s   | open  | b   | a     |            |
        50s  | call  | b   |       | crm.lookup | {"id":"1"}
        100s | call  | a   |       | crm.lookup | {"id":"2"}
        105s | sweep |     |       |            |
        120s | call  | b   |       | crm.lookup | {"id":"3"}
        160s | call  | a   |       | crm.lookup | {"id":"4"}
        161s | sweep |     |       |            |
        170s | open  | c   |       |            |
        200s | call  | c   |       | crm.lookup | {"id":"5"}
        250s | call  | c   |       | crm.lookup | {"id":"6"}
        300s | call  | c   |       | crm.lookup | {"id":"7"}
        350s | call  | c   |       | crm.lookup | {"id":"8"}
        400s | call  | c   |       | crm.lookup | {"id":"9"}
        450s | call  | c   |       | crm.lookup | {"id":"10"}
        500s | call  | c   |       | crm.lookup | {"id":"11"}
        550s | call  | c   |       | crm.lookup | {"id":"12"}
        600s | call  | c   |       | crm.lookup | {"id":"13"}
        650s | call  | c   |       | crm.lookup | {"id":"14"}
        700s | call  | c   |       | crm.lookup | {"id":"15"}
        750s | call  | c   |       | crm.lookup | {"id":"16"}
        770s | call  | c   |       | crm.lookup | {"id":"17"}
        770s | sweep |     |       |            |
    "#;
    check(
        limited(rules),
        table,
        expect![[r#"
        at   | do    | run | under | tool       | args        | answer                | code        | account    | event
        0s   | open  | a   |       |            |             | a open until 12:10:00 |             |            | run_opened
        0s   | open  | b   | a     |            |             | b open until 12:10:00 |             |            | run_opened
        50s  | call  | b   |       | crm.lookup | {"id":"1"}  | allow                 | by desk.may | calls 0+1  | call_decided c1 allow
        100s | call  | a   |       | crm.lookup | {"id":"2"}  | allow                 | by desk.may | calls 0+2  | call_decided c2 allow
        105s | sweep |     |       |            |             | done                  |             |            |
        120s | call  | b   |       | crm.lookup | {"id":"3"}  | deny                  | run_expired | calls 0+1  | call_decided c3 deny
        160s | call  | a   |       | crm.lookup | {"id":"4"}  | allow                 | by desk.may | calls 0+3  | call_decided c4 allow
        161s | sweep |     |       |            |             | done                  |             |            | run_closed expired by sweep
        170s | open  | c   |       |            |             | c open until 12:12:50 |             |            | run_opened
        200s | call  | c   |       | crm.lookup | {"id":"5"}  | allow                 | by desk.may | calls 0+1  | call_decided c5 allow
        250s | call  | c   |       | crm.lookup | {"id":"6"}  | allow                 | by desk.may | calls 0+2  | call_decided c6 allow
        300s | call  | c   |       | crm.lookup | {"id":"7"}  | allow                 | by desk.may | calls 0+3  | call_decided c7 allow
        350s | call  | c   |       | crm.lookup | {"id":"8"}  | allow                 | by desk.may | calls 0+4  | call_decided c8 allow
        400s | call  | c   |       | crm.lookup | {"id":"9"}  | allow                 | by desk.may | calls 0+5  | call_decided c9 allow
        450s | call  | c   |       | crm.lookup | {"id":"10"} | allow                 | by desk.may | calls 0+6  | call_decided c10 allow
        500s | call  | c   |       | crm.lookup | {"id":"11"} | allow                 | by desk.may | calls 0+7  | call_decided c11 allow
        550s | call  | c   |       | crm.lookup | {"id":"12"} | allow                 | by desk.may | calls 0+8  | call_decided c12 allow
        600s | call  | c   |       | crm.lookup | {"id":"13"} | allow                 | by desk.may | calls 0+9  | call_decided c13 allow
        650s | call  | c   |       | crm.lookup | {"id":"14"} | allow                 | by desk.may | calls 0+10 | call_decided c14 allow
        700s | call  | c   |       | crm.lookup | {"id":"15"} | allow                 | by desk.may | calls 0+11 | call_decided c15 allow
        750s | call  | c   |       | crm.lookup | {"id":"16"} | allow                 | by desk.may | calls 0+12 | call_decided c16 allow
        770s | call  | c   |       | crm.lookup | {"id":"17"} | deny                  | run_expired | calls 0+12 | call_decided c17 deny
        770s | sweep |     |       |            |             | done                  |             |            | run_closed expired by sweep; run_closed expired by sweep
    "#]],
    );
}

#[test]
fn the_same_call_over_and_over_is_a_loop() {
    let rules = StoppingRules { same_call_max: Some(2), ..StoppingRules::default() };
    let table = r#"
        at | do     | run | tool       | args       |
        0s | open   | a   |            |            |
        1s | call   | a   | crm.lookup | {"id":"1"} |
        1s | call   | a   | crm.lookup | {"id":"2"} |
        1s | call   | a   | crm.lookup | {"id":"1"} |
        1s | call   | a   | crm.lookup | {"id":"1"} |
        1s | call   | a   | crm.lookup | {"id":"2"} |
        2s | replan | a   |            | it is not there |
        2s | call   | a   | crm.lookup | {"id":"1"} |
        3s | open   | b   |            |            |
        3s | call   | b   | crm.lookup | {"id":"1"} |
    "#;
    check(
        limited(rules),
        table,
        expect![[r#"
        at | do     | run | tool       | args            |  | answer                | code                                                        | account   | event
        0s | open   | a   |            |                 |  | a open until 13:00:00 |                                                             |           | run_opened
        1s | call   | a   | crm.lookup | {"id":"1"}      |  | allow                 | by desk.may                                                 | calls 0+1 | call_decided c1 allow
        1s | call   | a   | crm.lookup | {"id":"2"}      |  | allow                 | by desk.may                                                 | calls 0+2 | call_decided c2 allow
        1s | call   | a   | crm.lookup | {"id":"1"}      |  | allow                 | by desk.may                                                 | calls 0+3 | call_decided c3 allow
        1s | call   | a   | crm.lookup | {"id":"1"}      |  | deny                  | loop_detected (the same call with the same arguments) max 2 | calls 0+3 | call_decided c4 deny
        1s | call   | a   | crm.lookup | {"id":"2"}      |  | allow                 | by desk.may                                                 | calls 0+4 | call_decided c5 allow
        2s | replan | a   |            | it is not there |  | done                  |                                                             | calls 0+4 | replanned
        2s | call   | a   | crm.lookup | {"id":"1"}      |  | allow                 | by desk.may                                                 | calls 0+5 | call_decided c6 allow
        3s | open   | b   |            |                 |  | b open until 13:00:03 |                                                             |           | run_opened
        3s | call   | b   | crm.lookup | {"id":"1"}      |  | allow                 | by desk.may                                                 | calls 0+1 | call_decided c7 allow
    "#]],
    );
}

#[test]
fn the_same_result_over_and_over_is_a_loop() {
    let rules = StoppingRules { same_result_max: Some(2), ..StoppingRules::default() };
    let table = r#"
        at | do     | run | tool       | args         | call | key
        0s | open   | a   |            |              |      |
        1s | call   | a   | crm.lookup | {"id":"1"}   |      |
        1s | settle | a   |            | succeeded    | c1   | says nothing
        1s | call   | a   | crm.lookup | {"id":"2"}   |      |
        1s | settle | a   |            | succeeded    | c2   | says something
        1s | call   | a   | crm.lookup | {"id":"3"}   |      |
        1s | settle | a   |            | succeeded    | c3   | says nothing
        1s | call   | a   | crm.lookup | {"id":"4"}   |      |
        1s | call   | a   | crm.note   | {}           |      |
        1s | settle | a   |            | succeeded    | c5   | says nothing
        1s | call   | a   | crm.note   | {"text":"x"} |      |
        2s | replan | a   |            | ask kim      |      |
        2s | call   | a   | crm.lookup | {"id":"4"}   |      |
    "#;
    check(
        limited(rules),
        table,
        expect![[r#"
        at | do     | run | tool       | args         | call | key            | answer                | code                                               | account              | event
        0s | open   | a   |            |              |      |                | a open until 13:00:00 |                                                    |                      | run_opened
        1s | call   | a   | crm.lookup | {"id":"1"}   |      |                | allow                 | by desk.may                                        | calls 0+1            | call_decided c1 allow
        1s | settle | a   |            | succeeded    | c1   | says nothing   | done                  |                                                    | calls 1+0            | call_finished c1 succeeded by gate
        1s | call   | a   | crm.lookup | {"id":"2"}   |      |                | allow                 | by desk.may                                        | calls 1+1            | call_decided c2 allow
        1s | settle | a   |            | succeeded    | c2   | says something | done                  |                                                    | calls 2+0            | call_finished c2 succeeded by gate
        1s | call   | a   | crm.lookup | {"id":"3"}   |      |                | allow                 | by desk.may                                        | calls 2+1            | call_decided c3 allow
        1s | settle | a   |            | succeeded    | c3   | says nothing   | done                  |                                                    | calls 3+0            | call_finished c3 succeeded by gate
        1s | call   | a   | crm.lookup | {"id":"4"}   |      |                | deny                  | loop_detected (the same result of this tool) max 2 | calls 3+0            | call_decided c4 deny
        1s | call   | a   | crm.note   | {}           |      |                | allow                 | by desk.may                                        | calls 3+1 writes 0+1 | call_decided c5 allow
        1s | settle | a   |            | succeeded    | c5   | says nothing   | done                  |                                                    | calls 4+0 writes 1+0 | call_finished c5 succeeded by gate
        1s | call   | a   | crm.note   | {"text":"x"} |      |                | allow                 | by desk.may                                        | calls 4+1 writes 1+1 | call_decided c6 allow
        2s | replan | a   |            | ask kim      |      |                | done                  |                                                    | calls 4+1 writes 1+1 | replanned
        2s | call   | a   | crm.lookup | {"id":"4"}   |      |                | allow                 | by desk.may                                        | calls 4+2 writes 1+1 | call_decided c7 allow
    "#]],
    );
}

#[test]
fn two_calls_that_take_turns_are_a_loop() {
    let rules = StoppingRules { ping_pong_max: Some(2), ..StoppingRules::default() };
    let table = r#"
        at | do   | run | tool       | args
        0s | open | a   |            |
        1s | call | a   | crm.lookup | {"id":"1"}
        1s | call | a   | crm.lookup | {"id":"2"}
        1s | call | a   | crm.lookup | {"id":"1"}
        1s | call | a   | crm.lookup | {"id":"2"}
        1s | call | a   | crm.lookup | {"id":"1"}
        1s | call | a   | crm.lookup | {"id":"3"}
        1s | call | a   | crm.lookup | {"id":"1"}
        1s | call | a   | crm.lookup | {"id":"1"}
        1s | call | a   | crm.lookup | {"id":"3"}
        1s | call | a   | crm.lookup | {"id":"1"}
        1s | call | a   | crm.lookup | {"id":"3"}
        1s | call | a   | crm.lookup | {"id":"1"}
    "#;
    check(
        limited(rules),
        table,
        expect![[r#"
        at | do   | run | tool       | args       | answer                | code                                            | account    | event
        0s | open | a   |            |            | a open until 13:00:00 |                                                 |            | run_opened
        1s | call | a   | crm.lookup | {"id":"1"} | allow                 | by desk.may                                     | calls 0+1  | call_decided c1 allow
        1s | call | a   | crm.lookup | {"id":"2"} | allow                 | by desk.may                                     | calls 0+2  | call_decided c2 allow
        1s | call | a   | crm.lookup | {"id":"1"} | allow                 | by desk.may                                     | calls 0+3  | call_decided c3 allow
        1s | call | a   | crm.lookup | {"id":"2"} | allow                 | by desk.may                                     | calls 0+4  | call_decided c4 allow
        1s | call | a   | crm.lookup | {"id":"1"} | deny                  | loop_detected (two calls that take turns) max 2 | calls 0+4  | call_decided c5 deny
        1s | call | a   | crm.lookup | {"id":"3"} | allow                 | by desk.may                                     | calls 0+5  | call_decided c6 allow
        1s | call | a   | crm.lookup | {"id":"1"} | allow                 | by desk.may                                     | calls 0+6  | call_decided c7 allow
        1s | call | a   | crm.lookup | {"id":"1"} | allow                 | by desk.may                                     | calls 0+7  | call_decided c8 allow
        1s | call | a   | crm.lookup | {"id":"3"} | allow                 | by desk.may                                     | calls 0+8  | call_decided c9 allow
        1s | call | a   | crm.lookup | {"id":"1"} | allow                 | by desk.may                                     | calls 0+9  | call_decided c10 allow
        1s | call | a   | crm.lookup | {"id":"3"} | allow                 | by desk.may                                     | calls 0+10 | call_decided c11 allow
        1s | call | a   | crm.lookup | {"id":"1"} | deny                  | loop_detected (two calls that take turns) max 2 | calls 0+10 | call_decided c12 deny
    "#]],
    );
}

fn replanned() -> Book {
    limited(StoppingRules { replan: Some(true), ..StoppingRules::default() })
}

#[test]
fn a_retry_is_no_replan() {
    let table = r#"
        at | do     | run | tool       | args         | call
        0s | open   | a   |            |              |
        1s | call   | a   | crm.lookup | {"id":"1"}   |
        1s | call   | a   | crm.note   | {}           |
        1s | settle | a   |            | failed       | c2
        2s | call   | a   | crm.note   | {}           |
        2s | call   | a   | crm.note   | {"text":"x"} |
        3s | settle | a   |            | succeeded    | c1
        3s | replan | a   |            | it is locked |
        3s | call   | a   | crm.note   | {}           |
        4s | call   | a   | crm.lookup | {"id":"1"}   |
        4s | call   | a   | crm.note   | {}           |
        4s | settle | a   |            | succeeded    | c6
        4s | call   | a   | crm.note   | {}           |
        5s | settle | a   |            | failed       | c8
        5s | call   | a   | crm.note   | {}           |
        5s | call   | a   | crm.lookup | {"id":"1"}   |
        5s | settle | a   |            | succeeded    | c10
        5s | call   | a   | crm.note   | {}           |
        6s | replan | a   |            | it is gone   |
        6s | call   | a   | crm.note   | {}           |
        7s | open   | b   |            |              |
        7s | call   | b   | crm.note   | {}           |
    "#;
    check(
        replanned(),
        table,
        expect![[r#"
        at | do     | run | tool       | args         | call | answer                | code            | account              | event
        0s | open   | a   |            |              |      | a open until 13:00:00 |                 |                      | run_opened
        1s | call   | a   | crm.lookup | {"id":"1"}   |      | allow                 | by desk.may     | calls 0+1            | call_decided c1 allow
        1s | call   | a   | crm.note   | {}           |      | allow                 | by desk.may     | calls 0+2 writes 0+1 | call_decided c2 allow
        1s | settle | a   |            | failed       | c2   | done                  |                 | calls 1+1 writes 1+0 | call_finished c2 failed by gate
        2s | call   | a   | crm.note   | {}           |      | deny                  | replan_required | calls 1+1 writes 1+0 | call_decided c3 deny
        2s | call   | a   | crm.note   | {"text":"x"} |      | allow                 | by desk.may     | calls 1+2 writes 1+1 | call_decided c4 allow
        3s | settle | a   |            | succeeded    | c1   | done                  |                 | calls 2+1 writes 1+1 | call_finished c1 succeeded by gate
        3s | replan | a   |            | it is locked |      | done                  |                 | calls 2+1 writes 1+1 | replanned
        3s | call   | a   | crm.note   | {}           |      | deny                  | replan_required | calls 2+1 writes 1+1 | call_decided c5 deny
        4s | call   | a   | crm.lookup | {"id":"1"}   |      | allow                 | by desk.may     | calls 2+2 writes 1+1 | call_decided c6 allow
        4s | call   | a   | crm.note   | {}           |      | deny                  | replan_required | calls 2+2 writes 1+1 | call_decided c7 deny
        4s | settle | a   |            | succeeded    | c6   | done                  |                 | calls 3+1 writes 1+1 | call_finished c6 succeeded by gate
        4s | call   | a   | crm.note   | {}           |      | allow                 | by desk.may     | calls 3+2 writes 1+2 | call_decided c8 allow
        5s | settle | a   |            | failed       | c8   | done                  |                 | calls 4+1 writes 2+1 | call_finished c8 failed by gate
        5s | call   | a   | crm.note   | {}           |      | deny                  | replan_required | calls 4+1 writes 2+1 | call_decided c9 deny
        5s | call   | a   | crm.lookup | {"id":"1"}   |      | allow                 | by desk.may     | calls 4+2 writes 2+1 | call_decided c10 allow
        5s | settle | a   |            | succeeded    | c10  | done                  |                 | calls 5+1 writes 2+1 | call_finished c10 succeeded by gate
        5s | call   | a   | crm.note   | {}           |      | deny                  | replan_required | calls 5+1 writes 2+1 | call_decided c11 deny
        6s | replan | a   |            | it is gone   |      | done                  |                 | calls 5+1 writes 2+1 | replanned
        6s | call   | a   | crm.note   | {}           |      | allow                 | by desk.may     | calls 5+2 writes 2+2 | call_decided c12 allow
        7s | open   | b   |            |              |      | b open until 13:00:07 |                 |                      | run_opened
        7s | call   | b   | crm.note   | {}           |      | allow                 | by desk.may     | calls 0+1 writes 0+1 | call_decided c13 allow
    "#]],
    );
}

#[test]
fn what_passes_may_come_again() {
    let table = r#"
        at | do     | run | tool       | args           | call | key
        0s | open   | a   |            |                |      |
        1s | call   | a   | crm.note   | {}             |      |
        1s | settle | a   |            | failed         | c1   | passes
        2s | call   | a   | crm.note   | {}             |      |
        2s | settle | a   |            | not_dispatched | c2   |
        3s | call   | a   | crm.note   | {}             |      |
        3s | settle | a   |            | succeeded      | c3   |
        4s | call   | a   | crm.note   | {}             |      |
        4s | call   | a   | crm.lookup | {"id":"1"}     |      |
        4s | settle | a   |            | failed         | c5   |
        5s | call   | a   | crm.lookup | {"id":"1"}     |      |
    "#;
    check(
        replanned(),
        table,
        expect![[r#"
        at | do     | run | tool       | args           | call | key    | answer                | code        | account              | event
        0s | open   | a   |            |                |      |        | a open until 13:00:00 |             |                      | run_opened
        1s | call   | a   | crm.note   | {}             |      |        | allow                 | by desk.may | calls 0+1 writes 0+1 | call_decided c1 allow
        1s | settle | a   |            | failed         | c1   | passes | done                  |             | calls 1+0 writes 1+0 | call_finished c1 failed by gate
        2s | call   | a   | crm.note   | {}             |      |        | allow                 | by desk.may | calls 1+1 writes 1+1 | call_decided c2 allow
        2s | settle | a   |            | not_dispatched | c2   |        | done                  |             | calls 1+0 writes 1+0 | call_finished c2 not_dispatched by gate
        3s | call   | a   | crm.note   | {}             |      |        | allow                 | by desk.may | calls 1+1 writes 1+1 | call_decided c3 allow
        3s | settle | a   |            | succeeded      | c3   |        | done                  |             | calls 2+0 writes 2+0 | call_finished c3 succeeded by gate
        4s | call   | a   | crm.note   | {}             |      |        | allow                 | by desk.may | calls 2+1 writes 2+1 | call_decided c4 allow
        4s | call   | a   | crm.lookup | {"id":"1"}     |      |        | allow                 | by desk.may | calls 2+2 writes 2+1 | call_decided c5 allow
        4s | settle | a   |            | failed         | c5   |        | done                  |             | calls 3+1 writes 2+1 | call_finished c5 failed by gate
        5s | call   | a   | crm.lookup | {"id":"1"}     |      |        | allow                 | by desk.may | calls 3+2 writes 2+1 | call_decided c6 allow
    "#]],
    );
}

#[test]
fn what_is_unknown_may_not_come_again() {
    let table = r#"
        at | do      | run | tool     | args      | call | key
        0s | open    | a   |          |           |      |
        1s | call    | a   | crm.note | {}        |      |
        1s | settle  | a   |          | unknown   | c1   | passes
        2s | call    | a   | crm.note | {}        |      |
        3s | settle  | a   |          | succeeded | c1   |
        3s | call    | a   | crm.note | {}        |      |
        4s | restart |     |          |           |      |
        4s | call    | a   | crm.note | {}        |      |
    "#;
    check(
        replanned(),
        table,
        expect![[r#"
        at | do      | run | tool     | args      | call | key    | answer                | code            | account              | event
        0s | open    | a   |          |           |      |        | a open until 13:00:00 |                 |                      | run_opened
        1s | call    | a   | crm.note | {}        |      |        | allow                 | by desk.may     | calls 0+1 writes 0+1 | call_decided c1 allow
        1s | settle  | a   |          | unknown   | c1   | passes | done                  |                 | calls 0+1 writes 0+1 | call_finished c1 unknown by gate
        2s | call    | a   | crm.note | {}        |      |        | deny                  | replan_required | calls 0+1 writes 0+1 | call_decided c2 deny
        3s | settle  | a   |          | succeeded | c1   |        | done                  |                 | calls 1+0 writes 1+0 | call_finished c1 succeeded by gate
        3s | call    | a   | crm.note | {}        |      |        | allow                 | by desk.may     | calls 1+1 writes 1+1 | call_decided c3 allow
        4s | restart |     |          |           |      |        | done                  |                 |                      | call_finished c3 unknown by restart
        4s | call    | a   | crm.note | {}        |      |        | deny                  | replan_required | calls 1+1 writes 1+1 | call_decided c4 deny
    "#]],
    );
}

#[test]
fn replans_are_counted() {
    let table = r#"
        at | do     | run | agent | args
        0s | open   | a   | desk  |
        1s | replan | a   | desk  | one
        1s | replan | a   | desk  | two
        1s | replan | a   | other | three
        1s | replan | z   | desk  | four
    "#;
    check(
        per_run(Caps { replans: Some(1), ..Caps::default() }),
        table,
        expect![[r#"
        at | do     | run | agent | args  | answer                | code                                     | account | event
        0s | open   | a   | desk  |       | a open until 13:00:00 |                                          |         | run_opened
        1s | replan | a   | desk  | one   | done                  |                                          |         | replanned
        1s | replan | a   | desk  | two   | refused               | limit_reached (replans in one run) max 1 |         |
        1s | replan | a   | other | three | refused               | run_unknown                              |         |
        1s | replan | z   | desk  | four  | refused               | run_unknown                              |         |
    "#]],
    );
}
