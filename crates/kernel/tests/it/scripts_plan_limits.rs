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
    check(book, table, expect![[r#""#]]);
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
    check(book, table, expect![[r#""#]]);
}

#[test]
fn taking_back_a_closed_run_is_posted_in_the_accounts_above_it() {
    let mut book = boxes();
    let usd = Limits { usd_nanos: Some(20), ..Limits::default() };
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
    check(book, table, expect![[r#""#]]);
}
