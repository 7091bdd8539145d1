//! Scripts: people are asked, and what their answers are worth.

use expect_test::expect;
use kernel::agent::{Manifest, May, Mode};
use kernel::approvers::{Approvals, Escalation, Group};
use kernel::book::Book;

use crate::book::{anything, book, manifest, may, when, with_rule};
use crate::script::{check, check_change};

pub(crate) const ALL: &[fn()] = &[
    a_yes_releases_the_call_once,
    a_no_goes_back_to_the_agent,
    a_yes_to_what_it_was_is_worth_nothing,
    a_tool_that_changed_meanwhile_is_another_tool,
    rules_that_forbid_it_meanwhile_hold,
    rules_that_ask_other_people_meanwhile_end_it,
    whoever_it_is_done_for_may_not_answer,
    the_people_of_runs_above_may_not_answer_either,
    two_of_a_group_must_say_yes,
    nobody_answers_and_others_may,
    no_answer_is_a_no,
    an_agent_that_asks_too_often_is_paused,
    an_approver_changes_arguments_within_the_rules,
    a_proposal_is_its_owners_to_answer,
    what_nobody_can_approve_is_refused_at_once,
    the_same_call_asks_once,
    what_is_halted_closed_or_revoked_is_asked_no_more,
    money_is_looked_at_again,
    a_bounded_approval_lets_the_next_ones_pass,
    a_bounded_approval_ends_with_its_rules,
    risk_is_what_is_out_of_the_ordinary,
    an_observed_agent_asks_nobody,
];

/// `pay.refund` needs a yes of leads; above 1000 of finance, too.
fn asking() -> Manifest {
    let leads = May { ask: Some("leads".into()), ..may("desk.may[0]", "pay.refund") };
    let mail = May { ask: Some("leads".into()), ..may("desk.may[1]", "mail.send") };
    manifest("desk", vec![leads, mail, may("desk.may[2]", "crm.*")])
}

fn house(mut book: Book) -> Book {
    let person = |name: &str, groups: &[&str]| {
        (name.to_owned(), groups.iter().map(|group| (*group).to_owned()).collect())
    };
    book.house.approvals = Approvals {
        people: [
            person("fay", &["finance"]),
            person("fin", &["finance"]),
            person("lee", &["leads"]),
            person("lou", &["leads"]),
            person("max", &["management"]),
            person("vic", &[]),
        ]
        .into(),
        reason_from: 101,
        ..Approvals::default()
    };
    book
}

fn desk_book() -> Book {
    house(book(vec![asking()]))
}

fn with_group(mut book: Book, name: &str, group: Group) -> Book {
    book.house.approvals.groups.insert(name.to_owned(), group);
    book
}

#[test]
fn a_yes_releases_the_call_once() {
    let table = r#"
        at | do      | run | tool       | args        | call | by
        0s | open    | a   |            |             |      |
        1s | call    | a   | pay.refund | {"cents":5} |      |
        2s | release | a   |            | {"cents":5} | c1   |
        3s | yes     | a   |            |             | c1   | vic
        3s | yes     | a   |            |             | c1   | fay
        3s | yes     | a   |            |             | c1   | lee
        3s | yes     | a   |            |             | c1   | lee
        4s | release | a   |            | {"cents":5} | c1   |
        5s | release | a   |            | {"cents":5} | c1   |
        5s | yes     | a   |            |             | c1   | lou
        6s | settle  | a   |            | succeeded   | c1   |
        7s | call    | a   | pay.refund | {"cents":5} |      |
        8s | call    | a   | pay.refund | {"cents":5} |      |
    "#;
    check(desk_book(), table, expect![[""]]);
}

#[test]
fn a_no_goes_back_to_the_agent() {
    let table = r#"
        at | do   | run | tool       | args        | call | by  | key
        0s | open | a   |            |             |      |     |
        1s | call | a   | pay.refund | {"cents":5} |      |     |
        2s | no   | a   |            | too much    | c1   | lee |
        3s | yes  | a   |            |             | c1   | lou |
        4s | call | a   | pay.refund | {"cents":5} |      |     |
        5s | call | a   | pay.refund | {"cents":5} |      |     |
        6s | call | a   | pay.refund | {"cents":6} |      |     | k
        6s | call | a   | pay.refund | {"cents":6} |      |     | k
        7s | no   | a   |            |             | c5   | lee |
        8s | call | a   | pay.refund | {"cents":6} |      |     | k
        8s | call | a   | pay.refund | {"cents":6} |      |     | k
    "#;
    check(desk_book(), table, expect![[""]]);
}

#[test]
fn a_yes_to_what_it_was_is_worth_nothing() {
    // Other rules, of which nothing here is changed but a note that nobody writes.
    let next = with_rule(
        desk_book(),
        r#"@id("late") forbid (principal, action == Tool::Action::"crm.note", resource);"#,
    );
    let table = r#"
        at | do      | run | tool       | args        | call | by  | key
        0s | open    | a   |            |             |      |     |
        1s | call    | a   | pay.refund | {"cents":5} |      |     |
        2s | look    | a   |            |             | c1   |     |
        3s | rules   | a   |            |             |      |     |
        4s | yes     | a   |            |             | c1   | lee | old
        4s | no      | a   |            |             | c1   | lee | old
        5s | yes     | a   |            |             | c1   | lee |
        6s | rules   | a   |            |             |      |     |
        7s | release | a   |            | {"cents":5} | c1   |     |
        8s | yes     | a   |            |             | c1   | lee |
        9s | release | a   |            | {"cents":5} | c1   |     |
    "#;
    check_change(desk_book(), next, table, expect![[""]]);
}

#[test]
fn a_tool_that_changed_meanwhile_is_another_tool() {
    let mut next = desk_book();
    next.tools.get_mut("pay.refund").unwrap().pin = Some(stdx::digest::Digest::of(b"accepted anew"));
    let table = r#"
        at | do      | run | tool       | args        | call | by  | key
        0s | open    | a   |            |             |      |     |
        1s | call    | a   | pay.refund | {"cents":5} |      |     |
        2s | look    | a   |            |             | c1   |     |
        2s | yes     | a   |            |             | c1   | lee |
        3s | rules   | a   |            |             |      |     |
        4s | release | a   |            | {"cents":5} | c1   |     |
        5s | yes     | a   |            |             | c1   | lou | old
    "#;
    check_change(desk_book(), next, table, expect![[""]]);
}

#[test]
fn rules_that_forbid_it_meanwhile_hold() {
    let forbid = r#"@id("stop") forbid (principal, action == Tool::Action::"pay.refund", resource);"#;
    let table = r#"
        at | do      | run | tool       | args        | call | by
        0s | open    | a   |            |             |      |
        1s | call    | a   | pay.refund | {"cents":5} |      |
        2s | rules   | a   |            |             |      |
        3s | yes     | a   |            |             | c1   | lee
        4s | release | a   |            | {"cents":5} | c1   |
        5s | call    | a   | pay.refund | {"cents":5} |      |
    "#;
    check_change(desk_book(), with_rule(desk_book(), forbid), table, expect![[""]]);
}

#[test]
fn rules_that_ask_other_people_meanwhile_end_it() {
    let finance = May { ask: Some("finance".into()), ..may("desk.may[0]", "pay.refund") };
    let next = house(book(vec![manifest("desk", vec![finance])]));
    let table = r#"
        at | do      | run | tool       | args        | call | by
        0s | open    | a   |            |             |      |
        1s | call    | a   | pay.refund | {"cents":5} |      |
        2s | rules   | a   |            |             |      |
        3s | yes     | a   |            |             | c1   | lee
        4s | release | a   |            | {"cents":5} | c1   |
    "#;
    check_change(desk_book(), next, table, expect![[""]]);
}

#[test]
fn whoever_it_is_done_for_may_not_answer() {
    let table = r#"
        at | do   | run | tool       | args        | call | by  | for
        0s | open | a   |            |             |      |     | Lee
        1s | call | a   | pay.refund | {"cents":5} |      |     |
        2s | yes  | a   |            |             | c1   | lee |
        2s | no   | a   |            |             | c1   | lee |
        3s | yes  | a   |            |             | c1   | lou |
    "#;
    check(desk_book(), table, expect![[""]]);
}

#[test]
fn the_people_of_runs_above_may_not_answer_either() {
    let table = r#"
        at | do   | run | under | tool       | args        | call | by  | for
        0s | open | a   |       |            |             |      |     | lee
        0s | open | b   | a     |            |             |      |     | ann
        1s | call | b   |       | pay.refund | {"cents":5} |      |     |
        2s | yes  | b   |       |            |             | c1   | lee |
        3s | yes  | b   |       |            |             | c1   | lou |
    "#;
    check(desk_book(), table, expect![[""]]);
}

#[test]
fn two_of_a_group_must_say_yes() {
    let two = Group { quorum: 2, ..Group::default() };
    let table = r#"
        at | do      | run | tool       | args        | call | by  | for
        0s | open    | a   |            |             |      |     |
        1s | call    | a   | pay.refund | {"cents":5} |      |     |
        2s | yes     | a   |            |             | c1   | lee |
        2s | yes     | a   |            |             | c1   | lee |
        3s | release | a   |            | {"cents":5} | c1   |     |
        4s | yes     | a   |            |             | c1   | lou |
        5s | release | a   |            | {"cents":5} | c1   |     |
        6s | open    | b   |            |             |      |     | lou
        7s | call    | b   | pay.refund | {"cents":5} |      |     |
    "#;
    check(with_group(desk_book(), "leads", two), table, expect![[""]]);
}

#[test]
fn nobody_answers_and_others_may() {
    let escalate = Some(Escalation { after_ms: 600_000, to: "management".into() });
    let table = r#"
        at  | do      | run | tool       | args        | call | by
        0s  | open    | a   |            |             |      |
        1s  | call    | a   | pay.refund | {"cents":5} |      |
        5m  | yes     | a   |            |             | c1   | max
        11m | yes     | a   |            |             | c1   | fay
        11m | yes     | a   |            |             | c1   | max
        11m | release | a   |            | {"cents":5} | c1   |
    "#;
    check(with_group(desk_book(), "leads", Group { escalate, quorum: 1 }), table, expect![[""]]);
}

#[test]
fn no_answer_is_a_no() {
    let mut book = desk_book();
    book.house.approvals.expires_ms = 600_000;
    book.house.approvals.groups.insert("leads".into(), Group { quorum: 2, ..Group::default() });
    let table = r#"
        at  | do      | run | tool       | args        | call | by
        0s  | open    | a   |            |             |      |
        1s  | call    | a   | pay.refund | {"cents":5} |      |
        9m  | yes     | a   |            |             | c1   | lee
        9m  | sweep   | a   |            |             |      |
        11m | yes     | a   |            |             | c1   | lou
        11m | sweep   | a   |            |             |      |
        12m | release | a   |            | {"cents":5} | c1   |
        13m | call    | a   | pay.refund | {"cents":5} |      |
    "#;
    check(book, table, expect![[""]]);
}

#[test]
fn an_agent_that_asks_too_often_is_paused() {
    let mut book = desk_book();
    book.house.approvals.per_run_max = 2;
    book.house.approvals.per_agent_hour_max = 4;
    let table = r#"
        at  | do      | run | tool       | args        | call | by
        0s  | open    | a   |            |             |      |
        1s  | call    | a   | pay.refund | {"cents":1} |      |
        1s  | call    | a   | pay.refund | {"cents":2} |      |
        1s  | call    | a   | pay.refund | {"cents":3} |      |
        2s  | call    | a   | crm.lookup | {"id":"7"}  |      |
        3s  | yes     | a   |            |             | c1   | lee
        3s  | release | a   |            | {"cents":1} | c1   |
        4s  | go on   | a   |            |             |      |
        4s  | release | a   |            | {"cents":1} | c1   |
        5s  | open    | b   |            |             |      |
        5s  | call    | b   | pay.refund | {"cents":1} |      |
        5s  | call    | b   | pay.refund | {"cents":2} |      |
        6s  | open    | d   |            |             |      |
        6s  | call    | d   | pay.refund | {"cents":1} |      |
        61m | open    | e   |            |             |      |
        61m | call    | e   | pay.refund | {"cents":1} |      |
    "#;
    check(book, table, expect![[""]]);
}

#[test]
fn an_approver_changes_arguments_within_the_rules() {
    let cap = when("desk.may[0]", "pay.refund", "args.cents <= 100");
    let ask = May { ask: Some("leads".into()), ..cap };
    let two = Group { quorum: 2, ..Group::default() };
    let book = with_group(house(book(vec![manifest("desk", vec![ask])])), "leads", two);
    let table = r#"
        at | do      | run | tool       | args          | call | by  | key
        0s | open    | a   |            |               |      |     |
        1s | call    | a   | pay.refund | {"cents":90}  |      |     |
        2s | yes     | a   |            |               | c1   | lee |
        3s | look    | a   |            |               | c1   |     |
        3s | edit    | a   |            | {"cents":900} | c1   | lou |
        3s | edit    | a   |            | {"euros":9}   | c1   | lou |
        4s | edit    | a   |            | {"cents":9}   | c1   | lou |
        5s | yes     | a   |            |               | c1   | lee | old
        5s | release | a   |            | {"cents":9}   | c1   |     |
        6s | yes     | a   |            |               | c1   | lee |
        6s | release | a   |            | {"cents":9}   | c1   |     |
        7s | settle  | a   |            | succeeded     | c1   |     |
        8s | call    | a   | pay.refund | {"cents":90}  |      |     |
    "#;
    check(book, table, expect![[""]]);
}

#[test]
fn a_proposal_is_its_owners_to_answer() {
    let mut agent = anything("desk");
    (agent.mode, agent.owner) = (Mode::Propose, "vic".into());
    let table = r#"
        at | do      | run | tool       | args       | call | by  | for
        0s | open    | a   |            |            |      |     |
        1s | call    | a   | crm.lookup | {"id":"7"} |      |     |
        1s | call    | a   | crm.note   | {}         |      |     |
        2s | yes     | a   |            |            | c2   | lee |
        3s | yes     | a   |            |            | c2   | vic |
        4s | release | a   |            | {}         | c2   |     |
        5s | open    | b   |            |            |      |     | vic
        5s | call    | b   | crm.note   | {}         |      |     |
    "#;
    check(house(book(vec![agent])), table, expect![[""]]);
}

#[test]
fn what_nobody_can_approve_is_refused_at_once() {
    let mut book = desk_book();
    book.house.approvals.people.remove("lou");
    let table = r#"
        at | do   | run | tool       | args        | for
        0s | open | a   |            |             | lee
        1s | call | a   | pay.refund | {"cents":5} |
        2s | open | b   |            |             | ann
        3s | call | b   | pay.refund | {"cents":5} |
    "#;
    check(book, table, expect![[""]]);
}

#[test]
fn the_same_call_asks_once() {
    let table = r#"
        at | do      | run | tool       | args        | call | by
        0s | open    | a   |            |             |      |
        1s | call    | a   | pay.refund | {"cents":5} |      |
        2s | call    | a   | pay.refund | {"cents":5} |      |
        3s | call    | a   | pay.refund | {"cents":6} |      |
        4s | yes     | a   |            |             | c1   | lee
        5s | release | a   |            | {"cents":5} | c1   |
        6s | call    | a   | pay.refund | {"cents":5} |      |
        6s | collect | a   |            |             | c1   |
        7s | settle  | a   |            | failed      | c1   |
        8s | collect | a   |            |             | c1   |
        9s | call    | a   | pay.refund | {"cents":5} |      |
    "#;
    check(desk_book(), table, expect![[""]]);
}

#[test]
fn what_is_halted_closed_or_revoked_is_asked_no_more() {
    let table = r#"
        at | do      | run | under | tool       | args           | call | by
        0s | open    | a   |       |            |                |      |
        1s | call    | a   |       | pay.refund | {"cents":1}    |      |
        2s | halt    |     |       |            | tool:pay.refund|      |
        2s | yes     | a   |       |            |                | c1   | lee
        3s | sweep   | a   |       |            |                |      |
        4s | resume  |     |       |            | tool:pay.refund|      |
        5s | call    | a   |       | pay.refund | {"cents":1}    |      |
        5s | open    | b   | a     |            |                |      |
        6s | call    | b   |       | pay.refund | {"cents":2}    |      |
        6s | yes     | b   |       |            |                | c3   | lee
        7s | close   | a   |       |            |                |      |
        8s | release | b   |       |            | {"cents":2}    | c3   |
        8s | yes     | b   |       |            |                | c3   | lou
    "#;
    check(desk_book(), table, expect![[""]]);
}

#[test]
fn money_is_looked_at_again() {
    let mut desk = asking();
    desk.per_run.usd_nanos = Some(15);
    let table = r#"
        at | do      | run | tool       | args        | call | by
        0s | open    | a   |            |             |      |
        1s | call    | a   | pay.refund | {"cents":1} |      |
        1s | call    | a   | pay.refund | {"cents":2} |      |
        2s | yes     | a   |            |             | c1   | lee
        2s | yes     | a   |            |             | c2   | lee
        3s | release | a   |            | {"cents":1} | c1   |
        3s | release | a   |            | {"cents":2} | c2   |
        4s | call    | a   | pay.refund | {"cents":3} |      |
    "#;
    check(house(book(vec![desk])), table, expect![[""]]);
}

#[test]
fn a_bounded_approval_lets_the_next_ones_pass() {
    let table = r#"
        at  | do      | run | under | tool       | args              | call | by  | key
        0s  | open    | a   |       |            |                   |      |     |
        0s  | open    | b   | a     |            |                   |      |     |
        0s  | open    | z   |       |            |                   |      |     |
        1s  | call    | a   |       | pay.refund | {"cents":50}      |      |     |
        2s  | yes     | a   |       |            |                   | c1   | lee | 3 times 10m cap /cents=50 usd 25
        3s  | release | a   |       |            | {"cents":50}      | c1   |     |
        4s  | call    | b   |       | pay.refund | {"cents":40}      |      |     |
        5s  | call    | a   |       | pay.refund | {"cents":51}      |      |     |
        5s  | call    | z   |       | pay.refund | {"cents":40}      |      |     |
        5s  | call    | a   |       | pay.refund | {"cents":10}      |      |     |
        6s  | call    | a   |       | pay.refund | {"cents":11}      |      |     |
        7s  | call    | a   |       | mail.send  | {"to":"a@x.test"} |      |     |
        8s  | yes     | a   |       |            |                   | c7   | lee | 9 times 10m same /to="a@x.test"
        8s  | release | a   |       |            | {"to":"a@x.test"} | c7   |     |
        9s  | call    | a   |       | mail.send  | {"to":"a@x.test"} |      |     |
        9s  | settle  | a   |       |            | succeeded         | c7   |     |
        9s  | call    | a   |       | mail.send  | {"to":"a@x.test"} |      |     |
        10s | call    | a   |       | mail.send  | {"to":"a@x.test"} |      |     |
        10s | call    | a   |       | mail.send  | {"to":"b@x.test"} |      |     |
        11m | call    | a   |       | mail.send  | {"to":"a@x.test"} |      |     |
    "#;
    check(desk_book(), table, expect![[""]]);
}

#[test]
fn a_bounded_approval_ends_with_its_rules() {
    let next = with_rule(
        desk_book(),
        r#"@id("late") forbid (principal, action == Tool::Action::"crm.note", resource);"#,
    );
    let table = r#"
        at | do      | run | tool       | args         | call | by  | key
        0s | open    | a   |            |              |      |     |
        1s | call    | a   | pay.refund | {"cents":50} |      |     |
        2s | yes     | a   |            |              | c1   | lee | 9 times 10m cap /cents=50
        3s | release | a   |            | {"cents":50} | c1   |     |
        4s | call    | a   | pay.refund | {"cents":40} |      |     |
        5s | rules   | a   |            |              |      |     |
        6s | call    | a   | pay.refund | {"cents":30} |      |     |
    "#;
    check_change(desk_book(), next, table, expect![[""]]);
}

#[test]
fn risk_is_what_is_out_of_the_ordinary() {
    let mut book = desk_book();
    book.house.approvals.reason_from = 80;
    book.tools.get_mut("mail.send").unwrap().labels = vec!["customer-data".into()];
    // Saturday, then Monday at ten.
    let table = r#"
        at  | do      | run | tool       | args              | call | by
        0s  | open    | a   |            |                   |      |
        1s  | call    | a   | mail.send  | {"to":"a@x.test"} |      |
        2s  | look    | a   |            |                   | c1   |
        2s  | yes     | a   |            |                   | c1   | lee
        3s  | yes     | a   |            | they asked for it | c1   | lee
        4s  | release | a   |            | {"to":"a@x.test"} | c1   |
        46h | open    | b   |            |                   |      |
        46h | call    | b   | mail.send  | {"to":"a@x.test"} |      |
        46h | look    | b   |            |                   | c2   |
        46h | call    | b   | mail.send  | {"to":"b@x.test"} |      |
        46h | look    | b   |            |                   | c3   |
        46h | call    | b   | pay.refund | {"cents":50}      |      |
        46h | look    | b   |            |                   | c4   |
    "#;
    check(book, table, expect![[""]]);
}

#[test]
fn an_observed_agent_asks_nobody() {
    let mut agent = asking();
    agent.mode = Mode::Observe;
    let table = r#"
        at | do   | run | tool       | args
        0s | open | a   |            |
        1s | call | a   | pay.refund | {"cents":5}
    "#;
    check(house(book(vec![agent])), table, expect![[""]]);
}
