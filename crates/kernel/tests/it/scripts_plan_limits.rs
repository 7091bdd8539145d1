//! Scripts: what a plan is bounded by as a whole, and what of it is bounded when it runs.

use expect_test::expect;
use kernel::account::Limits;
use kernel::stopping::{Caps, StoppingRules};
use kernel::window::Window;

use crate::script::check;
use crate::scripts_plans::{boxes, manifest};

pub(crate) const ALL: &[fn()] = &[
    a_plan_goes_to_so_many_places_as_a_whole,
    a_step_waits_for_the_minute_to_pass,
    taking_back_a_closed_run_is_posted_in_the_accounts_above_it,
    a_try_that_ended_with_the_process_costs_none,
];

#[test]
fn a_plan_goes_to_so_many_places_as_a_whole() {
    let mut book = boxes();
    let caps = Caps { destinations: Some(2), hosts: Some(1), ..Caps::default() };
    manifest(&mut book).limits = StoppingRules { per_run: caps, ..StoppingRules::default() };
    let table = r#"
        at | do | run | args
        0s | open | a |
        0s | plan | a | [{"id":"a","tool":"mail.send","args":{"to":"kim@a.example"}},{"id":"b","tool":"mail.send","args":{"to":"lee@a.example"}},{"id":"c","tool":"mail.send","args":{"to":"kim@a.example"}}]
        0s | plan | a | [{"id":"a","tool":"mail.send","args":{"to":"kim@a.example"}},{"id":"b","tool":"mail.send","args":{"to":"lee@a.example"}},{"id":"c","tool":"mail.send","args":{"to":"sam@a.example"}}]
        0s | plan | a | [{"id":"a","tool":"mail.send","args":{"to":"kim@a.example"}},{"id":"b","tool":"mail.send","args":{"to":"kim@b.example"}}]
    "#;
    check(
        book,
        table,
        expect![[r#"
        at | do   | run | args                                                                                                                                                                                  | answer                               | code                                          | account | event
        0s | open | a   |                                                                                                                                                                                       | a open until 13:00:00                |                                               |         | run_opened
        0s | plan | a   | [{"id":"a","tool":"mail.send","args":{"to":"kim@a.example"}},{"id":"b","tool":"mail.send","args":{"to":"lee@a.example"}},{"id":"c","tool":"mail.send","args":{"to":"kim@a.example"}}] | plan 1 allow: a b c, for good: a b c |                                               |         | plan_proposed allow; phase_changed explore to decide by plan
        0s | plan | a   | [{"id":"a","tool":"mail.send","args":{"to":"kim@a.example"}},{"id":"b","tool":"mail.send","args":{"to":"lee@a.example"}},{"id":"c","tool":"mail.send","args":{"to":"sam@a.example"}}] | plan 2 deny: a b c, for good: a b c  | limit_reached (destinations in one run) max 2 |         | plan_proposed deny
        0s | plan | a   | [{"id":"a","tool":"mail.send","args":{"to":"kim@a.example"}},{"id":"b","tool":"mail.send","args":{"to":"kim@b.example"}}]                                                             | plan 3 deny: a b, for good: a b      | limit_reached (hosts in one run) max 1        |         | plan_proposed deny
    "#]],
    );
}

#[test]
fn a_step_waits_for_the_minute_to_pass() {
    let mut book = boxes();
    let caps = Caps { writes: Some(2), ..Caps::default() };
    manifest(&mut book).limits = StoppingRules { per_minute: caps, ..StoppingRules::default() };
    let table = r#"
        at | do | run | args | key | call
        0s | open | a | | |
        0s | plan | a | [{"id":"a","tool":"box.put","args":{"id":1}},{"id":"b","tool":"box.put","args":{"id":2}},{"id":"c","tool":"box.put","args":{"id":3}}] | |
        0s | claim | a | | |
        0s | commit | a | | |
        1s | step | a | a | |
        1s | settle | a | succeeded | | c1
        2s | step | a | b | |
        2s | settle | a | succeeded | | c2
        3s | step | a | c | |
        4s | step | a | c | |
        62s | step | a | c | |
        62s | settle | a | succeeded | | c5
        62s | end | a | | |
    "#;
    check(
        book,
        table,
        expect![[r#"
        at  | do     | run | args                                                                                                                                  | key | call | answer                                      | code                                                                 | account                        | event
        0s  | open   | a   |                                                                                                                                       |     |      | a open until 13:00:00                       |                                                                      |                                | run_opened
        0s  | plan   | a   | [{"id":"a","tool":"box.put","args":{"id":1}},{"id":"b","tool":"box.put","args":{"id":2}},{"id":"c","tool":"box.put","args":{"id":3}}] |     |      | plan 1 allow: a b c                         | a: unguarded; b: unguarded; c: unguarded                             |                                | plan_proposed allow; phase_changed explore to decide by plan
        0s  | claim  | a   |                                                                                                                                       |     |      | done                                        |                                                                      |                                | claimed
        0s  | commit | a   |                                                                                                                                       |     |      | committing: a waiting, b waiting, c waiting |                                                                      | calls 0+9 writes 0+6 usd 0+60  | commit_started
        1s  | step   | a   | a                                                                                                                                     |     |      | allow                                       | by desk.may                                                          | calls 0+9 writes 0+6 usd 0+60  | call_decided c1 allow
        1s  | settle | a   | succeeded                                                                                                                             |     | c1   | done                                        |                                                                      | calls 1+8 writes 1+5 usd 10+50 | call_finished c1 succeeded by gate
        2s  | step   | a   | b                                                                                                                                     |     |      | allow                                       | by desk.may                                                          | calls 1+8 writes 1+5 usd 10+50 | call_decided c2 allow
        2s  | settle | a   | succeeded                                                                                                                             |     | c2   | done                                        |                                                                      | calls 2+7 writes 2+4 usd 20+40 | call_finished c2 succeeded by gate
        3s  | step   | a   | c                                                                                                                                     |     |      | deny                                        | limit_reached (writes of this agent in a minute) max 2 again in 59 s | calls 2+7 writes 2+4 usd 20+40 | call_decided c3 deny
        4s  | step   | a   | c                                                                                                                                     |     |      | deny                                        | step_not_due (waiting)                                               | calls 2+7 writes 2+4 usd 20+40 | call_decided c4 deny
        62s | step   | a   | c                                                                                                                                     |     |      | allow                                       | by desk.may                                                          | calls 2+7 writes 2+4 usd 20+40 | call_decided c5 allow
        62s | settle | a   | succeeded                                                                                                                             |     | c5   | done                                        |                                                                      | calls 3+6 writes 3+3 usd 30+30 | call_finished c5 succeeded by gate
        62s | end    | a   |                                                                                                                                       |     |      | committed: a done, b done, c done           |                                                                      | calls 3+0 writes 3+0 usd 30+0  | commit_ended committed
    "#]],
    );
}

#[test]
fn taking_back_a_closed_run_is_posted_in_the_accounts_above_it() {
    let mut book = boxes();
    let usd = Limits { usd_nanos: Some(30), ..Limits::default() };
    manifest(&mut book).windows = [(Window::Day, usd)].into();
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
        2s | close | a | | |
        3s | claim | a | | |
        3s | take back | a | | |
        3s | undo | a | a | |
        3s | settle | a | succeeded | | c2
        3s | end | a | | |
        4s | open | b | | |
        4s | plan | b | [{"id":"a","tool":"box.put","args":{"id":2}}] | |
    "#;
    check(
        book,
        table,
        expect![[r#"
        at | do        | run | args                                          | key | call | answer                | code                                                      | account                        | event
        0s | open      | a   |                                               |     |      | a open until 13:00:00 |                                                           |                                | run_opened
        0s | plan      | a   | [{"id":"a","tool":"box.put","args":{"id":1}}] |     |      | plan 1 allow: a       | a: unguarded                                              |                                | plan_proposed allow; phase_changed explore to decide by plan
        0s | claim     | a   |                                               |     |      | done                  |                                                           |                                | claimed
        0s | commit    | a   |                                               |     |      | committing: a waiting |                                                           | calls 0+3 writes 0+2 usd 0+20  | commit_started
        1s | step      | a   | a                                             |     |      | allow                 | by desk.may                                               | calls 0+3 writes 0+2 usd 0+20  | call_decided c1 allow; threshold_crossed 50 degrade of agent:desk
        1s | settle    | a   | succeeded                                     |     | c1   | done                  |                                                           | calls 1+2 writes 1+1 usd 10+10 | call_finished c1 succeeded by gate
        1s | end       | a   |                                               |     |      | committed: a done     |                                                           | calls 1+0 writes 1+0 usd 10+0  | commit_ended committed
        1s | release   | a   | committed                                     |     |      | done                  |                                                           | calls 1+0 writes 1+0 usd 10+0  | claims_released
        2s | close     | a   |                                               |     |      | done                  |                                                           |                                | run_closed success by ann
        3s | claim     | a   |                                               |     |      | done                  |                                                           |                                | claimed
        3s | take back | a   |                                               |     |      | unwinding: a done     |                                                           |                                | unwind_started because by ann
        3s | undo      | a   | a                                             |     |      | allow                 |                                                           |                                | call_decided c2 allow
        3s | settle    | a   | succeeded                                     |     | c2   | done                  |                                                           |                                | call_finished c2 succeeded by gate
        3s | end       | a   |                                               |     |      | rolled_back: a undone |                                                           |                                | commit_ended rolled_back
        4s | open      | b   |                                               |     |      | b open until 13:00:04 |                                                           |                                | run_opened
        4s | plan      | b   | [{"id":"a","tool":"box.put","args":{"id":2}}] |     |      | plan 1 deny: a        | budget_exceeded (usd (nano-dollars)) max 30; a: unguarded |                                | plan_proposed deny; phase_changed explore to decide by plan
        "#]],
    );
}

/// A tool that knows its keys is asked again and again, however often Remit dies over it: nothing was said of the tool.
#[test]
fn a_try_that_ended_with_the_process_costs_none() {
    let mut book = boxes();
    book.tools.get_mut("box.put").unwrap().idempotency_field = Some("key".to_owned());
    let table = r#"
        at | do | run | args | key | call
        0s | open | a | | |
        0s | plan | a | [{"id":"a","tool":"box.put","args":{"id":1}}] | |
        0s | claim | a | | |
        0s | commit | a | | |
        1s | step | a | a | |
        1s | restart | | | |
        2s | step | a | a | |
        2s | restart | | | |
        3s | step | a | a | |
        3s | restart | | | |
        4s | step | a | a | |
        4s | restart | | | |
        5s | step | a | a | |
        5s | restart | | | |
        6s | step | a | a | |
        6s | settle | a | succeeded | | c6
        6s | abort | a | | |
        100s | undo | a | a | |
        100s | restart | | | |
        200s | undo | a | a | |
        200s | restart | | | |
        300s | undo | a | a | |
        300s | restart | | | |
        400s | undo | a | a | |
        400s | restart | | | |
        500s | undo | a | a | |
        500s | settle | a | succeeded | | c11
        500s | end | a | | |
    "#;
    check(
        book,
        table,
        expect![[r#"
        at   | do      | run | args                                          | key | call | answer                | code         | account                        | event
        0s   | open    | a   |                                               |     |      | a open until 13:00:00 |              |                                | run_opened
        0s   | plan    | a   | [{"id":"a","tool":"box.put","args":{"id":1}}] |     |      | plan 1 allow: a       | a: unguarded |                                | plan_proposed allow; phase_changed explore to decide by plan
        0s   | claim   | a   |                                               |     |      | done                  |              |                                | claimed
        0s   | commit  | a   |                                               |     |      | committing: a waiting |              | calls 0+3 writes 0+2 usd 0+20  | commit_started
        1s   | step    | a   | a                                             |     |      | allow                 | by desk.may  | calls 0+3 writes 0+2 usd 0+20  | call_decided c1 allow
        1s   | restart |     |                                               |     |      | done                  |              |                                | call_finished c1 unknown by restart
        2s   | step    | a   | a                                             |     |      | allow                 |              | calls 0+3 writes 0+2 usd 0+20  | call_decided c2 allow
        2s   | restart |     |                                               |     |      | done                  |              |                                | call_finished c2 unknown by restart
        3s   | step    | a   | a                                             |     |      | allow                 |              | calls 0+3 writes 0+2 usd 0+20  | call_decided c3 allow
        3s   | restart |     |                                               |     |      | done                  |              |                                | call_finished c3 unknown by restart
        4s   | step    | a   | a                                             |     |      | allow                 |              | calls 0+3 writes 0+2 usd 0+20  | call_decided c4 allow
        4s   | restart |     |                                               |     |      | done                  |              |                                | call_finished c4 unknown by restart
        5s   | step    | a   | a                                             |     |      | allow                 |              | calls 0+3 writes 0+2 usd 0+20  | call_decided c5 allow
        5s   | restart |     |                                               |     |      | done                  |              |                                | call_finished c5 unknown by restart
        6s   | step    | a   | a                                             |     |      | allow                 |              | calls 0+3 writes 0+2 usd 0+20  | call_decided c6 allow
        6s   | settle  | a   | succeeded                                     |     | c6   | done                  |              | calls 1+2 writes 1+1 usd 10+10 | call_finished c6 succeeded by gate; call_finished c1 succeeded by repeat; call_finished c2 succeeded by repeat; call_finished c3 succeeded by repeat; call_finished c4 succeeded by repeat; call_finished c5 succeeded by repeat
        6s   | abort   | a   |                                               |     |      | unwinding: a done     |              | calls 1+2 writes 1+1 usd 10+10 | unwind_started because by desk
        100s | undo    | a   | a                                             |     |      | allow                 |              | calls 1+2 writes 1+1 usd 10+10 | call_decided c7 allow
        100s | restart |     |                                               |     |      | done                  |              |                                | call_finished c7 unknown by restart
        200s | undo    | a   | a                                             |     |      | allow                 |              | calls 1+2 writes 1+1 usd 10+10 | call_decided c8 allow
        200s | restart |     |                                               |     |      | done                  |              |                                | call_finished c8 unknown by restart
        300s | undo    | a   | a                                             |     |      | allow                 |              | calls 1+2 writes 1+1 usd 10+10 | call_decided c9 allow
        300s | restart |     |                                               |     |      | done                  |              |                                | call_finished c9 unknown by restart
        400s | undo    | a   | a                                             |     |      | allow                 |              | calls 1+2 writes 1+1 usd 10+10 | call_decided c10 allow
        400s | restart |     |                                               |     |      | done                  |              |                                | call_finished c10 unknown by restart
        500s | undo    | a   | a                                             |     |      | allow                 |              | calls 1+2 writes 1+1 usd 10+10 | call_decided c11 allow
        500s | settle  | a   | succeeded                                     |     | c11  | done                  |              | calls 3+0 writes 2+0 usd 20+0  | call_finished c11 succeeded by gate; call_finished c7 succeeded by repeat; call_finished c8 succeeded by repeat; call_finished c9 succeeded by repeat; call_finished c10 succeeded by repeat
        500s | end     | a   |                                               |     |      | rolled_back: a undone |              | calls 3+0 writes 2+0 usd 20+0  | commit_ended rolled_back
        "#]],
    );
}
