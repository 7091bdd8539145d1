//! Scripts: people are asked, and what their answers are worth.

use expect_test::expect;
use kernel::agent::{Manifest, May, Mode};
use kernel::approvers::{Approvals, Escalation, Group};
use kernel::book::Book;
use kernel::contract::Effect;

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
    whom_a_key_was_given_to_may_not_answer_whatever_the_agent_says,
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
    the_strictest_mode_of_what_it_does_holds,
];

/// `pay.refund` needs a yes of leads; above 1000 of finance, too.
fn asking() -> Manifest {
    let leads = May { ask: Some("leads".into()), ..may("desk.may[0]", "pay.refund") };
    let mail = May { ask: Some("leads".into()), ..may("desk.may[1]", "mail.send") };
    manifest("desk", vec![leads, mail, may("desk.may[2]", "crm.*")])
}

pub(crate) fn house(mut book: Book) -> Book {
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
    check(
        desk_book(),
        table,
        expect![[r#"
        at | do      | run | tool       | args        | call | by  | answer                       | code                                                            | account                                 | event
        0s | open    | a   |            |             |      |     | a open until 13:00:00        |                                                                 |                                         | run_opened
        1s | call    | a   | pay.refund | {"cents":5} |      |     | ask                          | approval_required ask leads near desk.may[0]: approved by leads |                                         | call_decided c1 ask until 13:00:00
        2s | release | a   |            | {"cents":5} | c1   |     | waits as c1                  |                                                                 |                                         |
        3s | yes     | a   |            |             | c1   | vic | refused                      | not_an_approver (leads)                                         |                                         |
        3s | yes     | a   |            |             | c1   | fay | refused                      | not_an_approver (leads)                                         |                                         |
        3s | yes     | a   |            |             | c1   | lee | enough                       |                                                                 |                                         | answered yes by lee for leads
        3s | yes     | a   |            |             | c1   | lee | refused                      | already_answered (lee)                                          |                                         |
        4s | release | a   |            | {"cents":5} | c1   |     | allow                        | by desk.may[0]                                                  | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c1 allow by lee
        5s | release | a   |            | {"cents":5} | c1   |     | refused                      | approval_unknown                                                | calls 0+1 writes 0+1 final 0+1 usd 0+10 |
        5s | yes     | a   |            |             | c1   | lou | refused                      | approval_unknown                                                | calls 0+1 writes 0+1 final 0+1 usd 0+10 |
        6s | settle  | a   |            | succeeded   | c1   |     | done                         |                                                                 | calls 1+0 writes 1+0 final 1+0 usd 10+0 | call_finished c1 succeeded by gate
        7s | call    | a   | pay.refund | {"cents":5} |      |     | same as c1: allow, succeeded | by desk.may[0]                                                  | calls 1+0 writes 1+0 final 1+0 usd 10+0 | collected
        8s | call    | a   | pay.refund | {"cents":5} |      |     | ask                          | approval_required ask leads near desk.may[0]: approved by leads | calls 1+0 writes 1+0 final 1+0 usd 10+0 | call_decided c3 ask until 13:00:00
    "#]],
    );
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
        7s | no   | a   |            |             | c4   | lee |
        8s | call | a   | pay.refund | {"cents":6} |      |     | k
        8s | call | a   | pay.refund | {"cents":6} |      |     | k
    "#;
    check(
        desk_book(),
        table,
        expect![[r#"
        at | do   | run | tool       | args        | call | by  | key | answer                 | code                                                            | account | event
        0s | open | a   |            |             |      |     |     | a open until 13:00:00  |                                                                 |         | run_opened
        1s | call | a   | pay.refund | {"cents":5} |      |     |     | ask                    | approval_required ask leads near desk.may[0]: approved by leads |         | call_decided c1 ask until 13:00:00
        2s | no   | a   |            | too much    | c1   | lee |     | counts, waits for 0    |                                                                 |         | answered no by lee; call_decided c1 deny
        3s | yes  | a   |            |             | c1   | lou |     | refused                | approval_unknown                                                |         |
        4s | call | a   | pay.refund | {"cents":5} |      |     |     | same as c1: deny, open | approval_denied (lee)                                           |         | collected
        5s | call | a   | pay.refund | {"cents":5} |      |     |     | ask                    | approval_required ask leads near desk.may[0]: approved by leads |         | call_decided c3 ask until 13:00:00
        6s | call | a   | pay.refund | {"cents":6} |      |     | k   | ask                    | approval_required ask leads near desk.may[0]: approved by leads |         | call_decided c4 ask until 13:00:00
        6s | call | a   | pay.refund | {"cents":6} |      |     | k   | waits as c4            |                                                                 |         |
        7s | no   | a   |            |             | c4   | lee |     | counts, waits for 0    |                                                                 |         | answered no by lee; call_decided c4 deny
        8s | call | a   | pay.refund | {"cents":6} |      |     | k   | same as c4: deny, open | approval_denied (lee)                                           |         |
        8s | call | a   | pay.refund | {"cents":6} |      |     | k   | same as c4: deny, open | approval_denied (lee)                                           |         |
        "#]],
    );
}

#[test]
fn a_yes_to_what_it_was_is_worth_nothing() {
    // Other rules, of which nothing here is changed but a note that nobody writes.
    let next = with_rule(
        desk_book(),
        r#"@id("late") forbid (principal, action == Remit::Action::"crm.note", resource);"#,
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
    check_change(
        desk_book(),
        next,
        table,
        expect![[r#"
        at | do      | run | tool       | args        | call | by  | key | answer                | code                                                            | account                                 | event
        0s | open    | a   |            |             |      |     |     | a open until 13:00:00 |                                                                 |                                         | run_opened
        1s | call    | a   | pay.refund | {"cents":5} |      |     |     | ask                   | approval_required ask leads near desk.may[0]: approved by leads |                                         | call_decided c1 ask until 13:00:00
        2s | look    | a   |            |             | c1   |     |     | seen                  | amount 20, effect 35, first_use 10, hour 10                     |                                         |
        3s | rules   | a   |            |             |      |     |     | done                  |                                                                 |                                         |
        4s | yes     | a   |            |             | c1   | lee | old | refused               | approval_stale                                                  |                                         |
        4s | no      | a   |            |             | c1   | lee | old | refused               | approval_stale                                                  |                                         |
        5s | yes     | a   |            |             | c1   | lee |     | enough                |                                                                 |                                         | answered yes by lee for leads
        6s | rules   | a   |            |             |      |     |     | done                  |                                                                 |                                         |
        7s | release | a   |            | {"cents":5} | c1   |     |     | waits as c1           |                                                                 |                                         |
        8s | yes     | a   |            |             | c1   | lee |     | enough                |                                                                 |                                         | answered yes by lee for leads
        9s | release | a   |            | {"cents":5} | c1   |     |     | allow                 | by desk.may[0]                                                  | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c1 allow by lee
    "#]],
    );
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
    check_change(
        desk_book(),
        next,
        table,
        expect![[r#"
        at | do      | run | tool       | args        | call | by  | key | answer                | code                                                            | account | event
        0s | open    | a   |            |             |      |     |     | a open until 13:00:00 |                                                                 |         | run_opened
        1s | call    | a   | pay.refund | {"cents":5} |      |     |     | ask                   | approval_required ask leads near desk.may[0]: approved by leads |         | call_decided c1 ask until 13:00:00
        2s | look    | a   |            |             | c1   |     |     | seen                  | amount 20, effect 35, first_use 10, hour 10                     |         |
        2s | yes     | a   |            |             | c1   | lee |     | enough                |                                                                 |         | answered yes by lee for leads
        3s | rules   | a   |            |             |      |     |     | done                  |                                                                 |         |
        4s | release | a   |            | {"cents":5} | c1   |     |     | waits as c1           |                                                                 |         |
        5s | yes     | a   |            |             | c1   | lou | old | refused               | approval_stale                                                  |         |
    "#]],
    );
}

#[test]
fn rules_that_forbid_it_meanwhile_hold() {
    let forbid = r#"@id("stop") forbid (principal, action == Remit::Action::"pay.refund", resource);"#;
    let table = r#"
        at | do      | run | tool       | args        | call | by
        0s | open    | a   |            |             |      |
        1s | call    | a   | pay.refund | {"cents":5} |      |
        2s | rules   | a   |            |             |      |
        3s | yes     | a   |            |             | c1   | lee
        4s | release | a   |            | {"cents":5} | c1   |
        5s | call    | a   | pay.refund | {"cents":5} |      |
    "#;
    check_change(
        desk_book(),
        with_rule(desk_book(), forbid),
        table,
        expect![[r#"
        at | do      | run | tool       | args        | call | by  | answer                 | code                                                            | account | event
        0s | open    | a   |            |             |      |     | a open until 13:00:00  |                                                                 |         | run_opened
        1s | call    | a   | pay.refund | {"cents":5} |      |     | ask                    | approval_required ask leads near desk.may[0]: approved by leads |         | call_decided c1 ask until 13:00:00
        2s | rules   | a   |            |             |      |     | done                   |                                                                 |         |
        3s | yes     | a   |            |             | c1   | lee | enough                 |                                                                 |         | answered yes by lee for leads
        4s | release | a   |            | {"cents":5} | c1   |     | deny                   | rule_forbids rule stop                                          |         | call_decided c1 deny
        5s | call    | a   | pay.refund | {"cents":5} |      |     | same as c1: deny, open | rule_forbids rule stop                                          |         | collected
    "#]],
    );
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
    check_change(
        desk_book(),
        next,
        table,
        expect![[r#"
        at | do      | run | tool       | args        | call | by  | answer                | code                                                            | account | event
        0s | open    | a   |            |             |      |     | a open until 13:00:00 |                                                                 |         | run_opened
        1s | call    | a   | pay.refund | {"cents":5} |      |     | ask                   | approval_required ask leads near desk.may[0]: approved by leads |         | call_decided c1 ask until 13:00:00
        2s | rules   | a   |            |             |      |     | done                  |                                                                 |         |
        3s | yes     | a   |            |             | c1   | lee | enough                |                                                                 |         | answered yes by lee for leads
        4s | release | a   |            | {"cents":5} | c1   |     | deny                  | approval_cancelled (the rules ask other people now)             |         | call_decided c1 deny
    "#]],
    );
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
    check(
        desk_book(),
        table,
        expect![[r#"
        at | do   | run | tool       | args        | call | by  | for | answer                | code                                                            | account | event
        0s | open | a   |            |             |      |     | Lee | a open until 13:00:00 |                                                                 |         | run_opened
        1s | call | a   | pay.refund | {"cents":5} |      |     |     | ask                   | approval_required ask leads near desk.may[0]: approved by leads |         | call_decided c1 ask until 13:00:00
        2s | yes  | a   |            |             | c1   | lee |     | refused               | own_request (lee)                                               |         |
        2s | no   | a   |            |             | c1   | lee |     | refused               | own_request (lee)                                               |         |
        3s | yes  | a   |            |             | c1   | lou |     | enough                |                                                                 |         | answered yes by lou for leads
    "#]],
    );
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
    check(
        desk_book(),
        table,
        expect![[r#"
        at | do   | run | under | tool       | args        | call | by  | for | answer                | code                                                            | account | event
        0s | open | a   |       |            |             |      |     | lee | a open until 13:00:00 |                                                                 |         | run_opened
        0s | open | b   | a     |            |             |      |     | ann | b open until 13:00:00 |                                                                 |         | run_opened
        1s | call | b   |       | pay.refund | {"cents":5} |      |     |     | ask                   | approval_required ask leads near desk.may[0]: approved by leads |         | call_decided c1 ask until 13:00:00
        2s | yes  | b   |       |            |             | c1   | lee |     | refused               | own_request (lee)                                               |         |
        3s | yes  | b   |       |            |             | c1   | lou |     | enough                |                                                                 |         | answered yes by lou for leads
    "#]],
    );
}

/// The agent names somebody else, or nobody: that frees nobody; whom it names may not answer besides.
#[test]
fn whom_a_key_was_given_to_may_not_answer_whatever_the_agent_says() {
    let table = r#"
        at | do     | run | tool       | args        | call | by  | for | key
        0s | mint   | a   |            |             |      |     | Lee |
        0s | open   | a   |            |             |      |     | lou | by k7
        1s | call   | a   | pay.refund | {"cents":5} |      |     |     |
        2s | open   | b   |            |             |      |     |     | by k7
        2s | call   | b   | pay.refund | {"cents":5} |      |     |     |
        3s | yes    | b   |            |             | c2   | lee |     |
        3s | yes    | b   |            |             | c2   | lou |     |
        4s | revoke | b   |            |             |      |     |     |
        5s | open   | c   |            |             |      |     | lou |
        5s | call   | c   | pay.refund | {"cents":5} |      |     |     |
        6s | yes    | c   |            |             | c3   | lou |     |
        6s | yes    | c   |            |             | c3   | lee |     |
    "#;
    check(
        desk_book(),
        table,
        expect![[r#"
        at | do     | run | tool       | args        | call | by  | for | key   | answer                | code                                                               | account | event
        0s | mint   | a   |            |             |      |     | Lee |       | done                  |                                                                    |         | key_minted
        0s | open   | a   |            |             |      |     | lou | by k7 | a open until 13:00:00 |                                                                    |         | run_opened
        1s | call   | a   | pay.refund | {"cents":5} |      |     |     |       | deny                  | approval_unavailable ask leads near desk.may[0]: approved by leads |         | call_decided c1 deny
        2s | open   | b   |            |             |      |     |     | by k7 | b open until 13:00:02 |                                                                    |         | run_opened
        2s | call   | b   | pay.refund | {"cents":5} |      |     |     |       | ask                   | approval_required ask leads near desk.may[0]: approved by leads    |         | call_decided c2 ask until 13:00:02
        3s | yes    | b   |            |             | c2   | lee |     |       | refused               | own_request (lee)                                                  |         |
        3s | yes    | b   |            |             | c2   | lou |     |       | enough                |                                                                    |         | answered yes by lou for leads
        4s | revoke | b   |            |             |      |     |     |       | done                  |                                                                    |         | key_revoked
        5s | open   | c   |            |             |      |     | lou |       | c open until 13:00:05 |                                                                    |         | run_opened
        5s | call   | c   | pay.refund | {"cents":5} |      |     |     |       | ask                   | approval_required ask leads near desk.may[0]: approved by leads    |         | call_decided c3 ask until 13:00:05
        6s | yes    | c   |            |             | c3   | lou |     |       | refused               | own_request (lou)                                                  |         |
        6s | yes    | c   |            |             | c3   | lee |     |       | enough                |                                                                    |         | answered yes by lee for leads
    "#]],
    );
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
    check(
        with_group(desk_book(), "leads", two),
        table,
        expect![[r#"
        at | do      | run | tool       | args        | call | by  | for | answer                | code                                                               | account                                 | event
        0s | open    | a   |            |             |      |     |     | a open until 13:00:00 |                                                                    |                                         | run_opened
        1s | call    | a   | pay.refund | {"cents":5} |      |     |     | ask                   | approval_required ask leads near desk.may[0]: approved by leads    |                                         | call_decided c1 ask until 13:00:00
        2s | yes     | a   |            |             | c1   | lee |     | counts, waits for 1   |                                                                    |                                         | answered yes by lee for leads
        2s | yes     | a   |            |             | c1   | lee |     | refused               | already_answered (lee)                                             |                                         |
        3s | release | a   |            | {"cents":5} | c1   |     |     | waits as c1           |                                                                    |                                         |
        4s | yes     | a   |            |             | c1   | lou |     | enough                |                                                                    |                                         | answered yes by lou for leads
        5s | release | a   |            | {"cents":5} | c1   |     |     | allow                 | by desk.may[0]                                                     | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c1 allow by lee and lou
        6s | open    | b   |            |             |      |     | lou | b open until 13:00:06 |                                                                    |                                         | run_opened
        7s | call    | b   | pay.refund | {"cents":5} |      |     |     | deny                  | approval_unavailable ask leads near desk.may[0]: approved by leads |                                         | call_decided c2 deny
    "#]],
    );
}

#[test]
fn nobody_answers_and_others_may() {
    let escalate = Some(Escalation { after_ms: 600_000, to: "management".into() });
    let table = r#"
        at  | do      | run | tool       | args        | call | by
        0s  | open    | a   |            |             |      |
        1s  | call    | a   | pay.refund | {"cents":5} |      |
        5m  | yes     | a   |            |             | c1   | max
        9m  | sweep   | a   |            |             |      |
        11m | sweep   | a   |            |             |      |
        11m | sweep   | a   |            |             |      |
        11m | yes     | a   |            |             | c1   | fay
        11m | yes     | a   |            |             | c1   | max
        11m | release | a   |            | {"cents":5} | c1   |
    "#;
    check(
        with_group(desk_book(), "leads", Group { escalate, quorum: 1 }),
        table,
        expect![[r#"
        at  | do      | run | tool       | args        | call | by  | answer                | code                                                            | account                                 | event
        0s  | open    | a   |            |             |      |     | a open until 13:00:00 |                                                                 |                                         | run_opened
        1s  | call    | a   | pay.refund | {"cents":5} |      |     | ask                   | approval_required ask leads near desk.may[0]: approved by leads |                                         | call_decided c1 ask until 13:00:00
        5m  | yes     | a   |            |             | c1   | max | refused               | not_an_approver (leads)                                         |                                         |
        9m  | sweep   | a   |            |             |      |     | done                  |                                                                 |                                         |
        11m | sweep   | a   |            |             |      |     | done                  |                                                                 |                                         | ask_escalated
        11m | sweep   | a   |            |             |      |     | done                  |                                                                 |                                         |
        11m | yes     | a   |            |             | c1   | fay | refused               | not_an_approver (leads)                                         |                                         |
        11m | yes     | a   |            |             | c1   | max | enough                |                                                                 |                                         | answered yes by max for leads
        11m | release | a   |            | {"cents":5} | c1   |     | allow                 | by desk.may[0]                                                  | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c1 allow by max
        "#]],
    );
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
    check(
        book,
        table,
        expect![[r#"
        at  | do      | run | tool       | args        | call | by  | answer                 | code                                                            | account | event
        0s  | open    | a   |            |             |      |     | a open until 13:00:00  |                                                                 |         | run_opened
        1s  | call    | a   | pay.refund | {"cents":5} |      |     | ask                    | approval_required ask leads near desk.may[0]: approved by leads |         | call_decided c1 ask until 12:10:01
        9m  | yes     | a   |            |             | c1   | lee | counts, waits for 1    |                                                                 |         | answered yes by lee for leads
        9m  | sweep   | a   |            |             |      |     | done                   |                                                                 |         |
        11m | yes     | a   |            |             | c1   | lou | refused                | approval_expired                                                |         |
        11m | sweep   | a   |            |             |      |     | done                   |                                                                 |         | call_decided c1 deny
        12m | release | a   |            | {"cents":5} | c1   |     | refused                | approval_unknown                                                |         |
        13m | call    | a   | pay.refund | {"cents":5} |      |     | same as c1: deny, open | approval_expired                                                |         | collected
    "#]],
    );
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
    check(
        book,
        table,
        expect![[r#"
        at  | do      | run | tool       | args        | call | by  | answer                | code                                                                           | account                                 | event
        0s  | open    | a   |            |             |      |     | a open until 13:00:00 |                                                                                |                                         | run_opened
        1s  | call    | a   | pay.refund | {"cents":1} |      |     | ask                   | approval_required ask leads near desk.may[0]: approved by leads                |                                         | call_decided c1 ask until 13:00:00
        1s  | call    | a   | pay.refund | {"cents":2} |      |     | ask                   | approval_required ask leads near desk.may[0]: approved by leads                |                                         | call_decided c2 ask until 13:00:00
        1s  | call    | a   | pay.refund | {"cents":3} |      |     | deny                  | limit_reached (questions to people in one run) max 2                           |                                         | call_decided c3 deny; run_paused by ask_quota
        2s  | call    | a   | crm.lookup | {"id":"7"}  |      |     | deny                  | run_paused (no more than 2 questions to people in one run, and it asked again) |                                         | call_decided c4 deny
        3s  | yes     | a   |            |             | c1   | lee | enough                |                                                                                |                                         | answered yes by lee for leads
        3s  | release | a   |            | {"cents":1} | c1   |     | waits as c1           |                                                                                |                                         |
        4s  | go on   | a   |            |             |      |     | done                  |                                                                                |                                         | run_resumed
        4s  | release | a   |            | {"cents":1} | c1   |     | allow                 | by desk.may[0]                                                                 | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c1 allow by lee
        5s  | open    | b   |            |             |      |     | b open until 13:00:05 |                                                                                |                                         | run_opened
        5s  | call    | b   | pay.refund | {"cents":1} |      |     | ask                   | approval_required ask leads near desk.may[0]: approved by leads                |                                         | call_decided c5 ask until 13:00:05
        5s  | call    | b   | pay.refund | {"cents":2} |      |     | ask                   | approval_required ask leads near desk.may[0]: approved by leads                |                                         | call_decided c6 ask until 13:00:05
        6s  | open    | d   |            |             |      |     | d open until 13:00:06 |                                                                                |                                         | run_opened
        6s  | call    | d   | pay.refund | {"cents":1} |      |     | deny                  | limit_reached (questions of this agent to people in an hour) max 4             |                                         | call_decided c7 deny; run_paused by ask_quota
        61m | open    | e   |            |             |      |     | e open until 14:01:00 |                                                                                |                                         | run_opened
        61m | call    | e   | pay.refund | {"cents":1} |      |     | ask                   | approval_required ask leads near desk.may[0]: approved by leads                |                                         | call_decided c8 ask until 14:01:00
    "#]],
    );
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
    check(
        book,
        table,
        expect![[r#"
        at | do      | run | tool       | args          | call | by  | key | answer                       | code                                                                                                                                 | account                                 | event
        0s | open    | a   |            |               |      |     |     | a open until 13:00:00        |                                                                                                                                      |                                         | run_opened
        1s | call    | a   | pay.refund | {"cents":90}  |      |     |     | ask                          | approval_required ask leads near desk.may[0]: args.cents <= 100; approved by leads                                                   |                                         | call_decided c1 ask until 13:00:00
        2s | yes     | a   |            |               | c1   | lee |     | counts, waits for 1          |                                                                                                                                      |                                         | answered yes by lee for leads
        3s | look    | a   |            |               | c1   |     |     | seen                         | amount 20, effect 35, first_use 10, hour 10                                                                                          |                                         |
        3s | edit    | a   |            | {"cents":900} | c1   | lou |     | refused                      | edit_refused (no rule allows this call)                                                                                              |                                         |
        3s | edit    | a   |            | {"euros":9}   | c1   | lou |     | refused                      | edit_refused (the arguments do not fit the tool's schema at /: there is a property that the schema does not allow; it allows: cents) |                                         |
        4s | edit    | a   |            | {"cents":9}   | c1   | lou |     | counts, waits for 1          |                                                                                                                                      |                                         | answered yes by lou for leads
        5s | yes     | a   |            |               | c1   | lee | old | refused                      | approval_stale                                                                                                                       |                                         |
        5s | release | a   |            | {"cents":9}   | c1   |     |     | waits as c1                  |                                                                                                                                      |                                         |
        6s | yes     | a   |            |               | c1   | lee |     | enough                       |                                                                                                                                      |                                         | answered yes by lee for leads
        6s | release | a   |            | {"cents":9}   | c1   |     |     | allow                        | by desk.may[0]                                                                                                                       | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c1 allow by lee and lou
        7s | settle  | a   |            | succeeded     | c1   |     |     | done                         |                                                                                                                                      | calls 1+0 writes 1+0 final 1+0 usd 10+0 | call_finished c1 succeeded by gate
        8s | call    | a   | pay.refund | {"cents":90}  |      |     |     | same as c1: allow, succeeded | by desk.may[0]                                                                                                                       | calls 1+0 writes 1+0 final 1+0 usd 10+0 | collected
    "#]],
    );
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
        4s | gather  | a   |            |            | c2   |     |
        5s | open    | b   |            |            |      |     | vic
        5s | call    | b   | crm.note   | {}         |      |     |
    "#;
    check(
        house(book(vec![agent])),
        table,
        expect![[r#"
        at | do      | run | tool       | args       | call | by  | for | answer                       | code                               | account   | event
        0s | open    | a   |            |            |      |     |     | a open until 13:00:00        |                                    |           | run_opened
        1s | call    | a   | crm.lookup | {"id":"7"} |      |     |     | allow                        | by desk.may                        | calls 0+1 | call_decided c1 allow
        1s | call    | a   | crm.note   | {}         |      |     |     | ask                          | proposed ask owner:vic             | calls 0+1 | call_decided c2 ask until 13:00:00
        2s | yes     | a   |            |            | c2   | lee |     | refused                      | not_an_approver (owner:vic)        | calls 0+1 |
        3s | yes     | a   |            |            | c2   | vic |     | enough                       |                                    | calls 0+1 | answered yes by vic for owner:vic
        4s | release | a   |            | {}         | c2   |     |     | refused                      | approval_unknown                   | calls 0+1 |
        4s | gather  | a   |            |            | c2   |     |     | plan 1 ask: c2, for good: c2 |                                    | calls 0+1 | plan_proposed ask of c2; phase_changed explore to decide by plan
        5s | open    | b   |            |            |      |     | vic | b open until 13:00:05        |                                    |           | run_opened
        5s | call    | b   | crm.note   | {}         |      |     |     | deny                         | approval_unavailable ask owner:vic |           | call_decided c3 deny
        "#]],
    );
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
    check(
        book,
        table,
        expect![[r#"
        at | do   | run | tool       | args        | for | answer                | code                                                               | account | event
        0s | open | a   |            |             | lee | a open until 13:00:00 |                                                                    |         | run_opened
        1s | call | a   | pay.refund | {"cents":5} |     | deny                  | approval_unavailable ask leads near desk.may[0]: approved by leads |         | call_decided c1 deny
        2s | open | b   |            |             | ann | b open until 13:00:02 |                                                                    |         | run_opened
        3s | call | b   | pay.refund | {"cents":5} |     | ask                   | approval_required ask leads near desk.may[0]: approved by leads    |         | call_decided c2 ask until 13:00:02
    "#]],
    );
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
    check(
        desk_book(),
        table,
        expect![[r#"
        at | do      | run | tool       | args        | call | by  | answer                | code                                                            | account                                 | event
        0s | open    | a   |            |             |      |     | a open until 13:00:00 |                                                                 |                                         | run_opened
        1s | call    | a   | pay.refund | {"cents":5} |      |     | ask                   | approval_required ask leads near desk.may[0]: approved by leads |                                         | call_decided c1 ask until 13:00:00
        2s | call    | a   | pay.refund | {"cents":5} |      |     | waits as c1           |                                                                 |                                         |
        3s | call    | a   | pay.refund | {"cents":6} |      |     | ask                   | approval_required ask leads near desk.may[0]: approved by leads |                                         | call_decided c3 ask until 13:00:00
        4s | yes     | a   |            |             | c1   | lee | enough                |                                                                 |                                         | answered yes by lee for leads
        5s | release | a   |            | {"cents":5} | c1   |     | allow                 | by desk.may[0]                                                  | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c1 allow by lee
        6s | call    | a   | pay.refund | {"cents":5} |      |     | waits as c1           |                                                                 | calls 0+1 writes 0+1 final 0+1 usd 0+10 |
        6s | collect | a   |            |             | c1   |     | done                  |                                                                 | calls 0+1 writes 0+1 final 0+1 usd 0+10 |
        7s | settle  | a   |            | failed      | c1   |     | done                  |                                                                 | calls 1+0 writes 1+0 final 1+0          | call_finished c1 failed by gate
        8s | collect | a   |            |             | c1   |     | done                  |                                                                 | calls 1+0 writes 1+0 final 1+0          | collected
        9s | call    | a   | pay.refund | {"cents":5} |      |     | ask                   | approval_required ask leads near desk.may[0]: approved by leads | calls 1+0 writes 1+0 final 1+0          | call_decided c5 ask until 13:00:00
        "#]],
    );
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
    check(
        desk_book(),
        table,
        expect![[r#"
        at | do      | run | under | tool       | args            | call | by  | answer                 | code                                                                               | account | event
        0s | open    | a   |       |            |                 |      |     | a open until 13:00:00  |                                                                                    |         | run_opened
        1s | call    | a   |       | pay.refund | {"cents":1}     |      |     | ask                    | approval_required ask leads near desk.may[0]: approved by leads                    |         | call_decided c1 ask until 13:00:00
        2s | halt    |     |       |            | tool:pay.refund |      |     | done                   |                                                                                    |         | halted
        2s | yes     | a   |       |            |                 | c1   | lee | refused                | approval_cancelled (tool:pay.refund, since 2026-11-21T12:00:02.000Z by ann: smoke) |         |
        3s | sweep   | a   |       |            |                 |      |     | done                   |                                                                                    |         | call_decided c1 deny
        4s | resume  |     |       |            | tool:pay.refund |      |     | done                   |                                                                                    |         | resumed
        5s | call    | a   |       | pay.refund | {"cents":1}     |      |     | same as c1: deny, open | approval_cancelled (tool:pay.refund, since 2026-11-21T12:00:02.000Z by ann: smoke) |         | collected
        5s | open    | b   | a     |            |                 |      |     | b open until 13:00:00  |                                                                                    |         | run_opened
        6s | call    | b   |       | pay.refund | {"cents":2}     |      |     | ask                    | approval_required ask leads near desk.may[0]: approved by leads                    |         | call_decided c3 ask until 13:00:00
        6s | yes     | b   |       |            |                 | c3   | lee | enough                 |                                                                                    |         | answered yes by lee for leads
        7s | close   | a   |       |            |                 |      |     | done                   |                                                                                    |         | call_decided c3 deny; run_closed abandoned by ann; run_closed success by ann
        8s | release | b   |       |            | {"cents":2}     | c3   |     | refused                | approval_unknown                                                                   |         |
        8s | yes     | b   |       |            |                 | c3   | lou | refused                | approval_unknown                                                                   |         |
    "#]],
    );
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
    check(
        house(book(vec![desk])),
        table,
        expect![[r#"
        at | do      | run | tool       | args        | call | by  | answer                | code                                                            | account                                 | event
        0s | open    | a   |            |             |      |     | a open until 13:00:00 |                                                                 |                                         | run_opened
        1s | call    | a   | pay.refund | {"cents":1} |      |     | ask                   | approval_required ask leads near desk.may[0]: approved by leads |                                         | call_decided c1 ask until 13:00:00
        1s | call    | a   | pay.refund | {"cents":2} |      |     | ask                   | approval_required ask leads near desk.may[0]: approved by leads |                                         | call_decided c2 ask until 13:00:00
        2s | yes     | a   |            |             | c1   | lee | enough                |                                                                 |                                         | answered yes by lee for leads
        2s | yes     | a   |            |             | c2   | lee | enough                |                                                                 |                                         | answered yes by lee for leads
        3s | release | a   |            | {"cents":1} | c1   |     | allow                 | by desk.may[0]                                                  | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c1 allow by lee; threshold_crossed 50 degrade
        3s | release | a   |            | {"cents":2} | c2   |     | deny                  | budget_exceeded (usd (nano-dollars)) max 15                     | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c2 deny
        4s | call    | a   | pay.refund | {"cents":3} |      |     | deny                  | budget_exceeded (usd (nano-dollars)) max 15                     | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c3 deny
    "#]],
    );
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
        11m | call    | z   |       | pay.refund | {"cents":60}      |      |     |
        12m | yes     | z   |       |            |                   | c13  | lee | 9 times 10m same /cents=60
        12m | release | z   |       |            | {"cents":60}      | c13  |     |
        12m | call    | z   |       | pay.refund | {"cents":61}      |      |     |
        12m | call    | z   |       | mail.send  | {"to":"a@x.test"} |      |     |
        13m | yes     | z   |       |            |                   | c15  | lee | 9 times 10m
        13m | release | z   |       |            | {"to":"a@x.test"} | c15  |     |
        13m | call    | z   |       | mail.send  | {"to":"b@x.test"} |      |     |
    "#;
    check(
        desk_book(),
        table,
        expect![[r#"
        at  | do      | run | under | tool       | args              | call | by  | key                              | answer                       | code                                                            | account                                 | event
        0s  | open    | a   |       |            |                   |      |     |                                  | a open until 13:00:00        |                                                                 |                                         | run_opened
        0s  | open    | b   | a     |            |                   |      |     |                                  | b open until 13:00:00        |                                                                 |                                         | run_opened
        0s  | open    | z   |       |            |                   |      |     |                                  | z open until 13:00:00        |                                                                 |                                         | run_opened
        1s  | call    | a   |       | pay.refund | {"cents":50}      |      |     |                                  | ask                          | approval_required ask leads near desk.may[0]: approved by leads |                                         | call_decided c1 ask until 13:00:00
        2s  | yes     | a   |       |            |                   | c1   | lee | 3 times 10m cap /cents=50 usd 25 | enough                       |                                                                 |                                         | answered yes by lee for leads
        3s  | release | a   |       |            | {"cents":50}      | c1   |     |                                  | allow                        | by desk.may[0]                                                  | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c1 allow by lee
        4s  | call    | b   |       | pay.refund | {"cents":40}      |      |     |                                  | allow                        | by desk.may[0]                                                  | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c2 allow by lee
        5s  | call    | a   |       | pay.refund | {"cents":51}      |      |     |                                  | ask                          | approval_required ask leads near desk.may[0]: approved by leads | calls 0+2 writes 0+2 final 0+2 usd 0+20 | call_decided c3 ask until 13:00:00
        5s  | call    | z   |       | pay.refund | {"cents":40}      |      |     |                                  | ask                          | approval_required ask leads near desk.may[0]: approved by leads |                                         | call_decided c4 ask until 13:00:00
        5s  | call    | a   |       | pay.refund | {"cents":10}      |      |     |                                  | allow                        | by desk.may[0]                                                  | calls 0+3 writes 0+3 final 0+3 usd 0+30 | call_decided c5 allow by lee
        6s  | call    | a   |       | pay.refund | {"cents":11}      |      |     |                                  | ask                          | approval_required ask leads near desk.may[0]: approved by leads | calls 0+3 writes 0+3 final 0+3 usd 0+30 | call_decided c6 ask until 13:00:00
        7s  | call    | a   |       | mail.send  | {"to":"a@x.test"} |      |     |                                  | ask                          | approval_required ask leads near desk.may[1]: approved by leads | calls 0+3 writes 0+3 final 0+3 usd 0+30 | call_decided c7 ask until 13:00:00
        8s  | yes     | a   |       |            |                   | c7   | lee | 9 times 10m same /to="a@x.test"  | enough                       |                                                                 | calls 0+3 writes 0+3 final 0+3 usd 0+30 | answered yes by lee for leads
        8s  | release | a   |       |            | {"to":"a@x.test"} | c7   |     |                                  | allow                        | by desk.may[1]                                                  | calls 0+4 writes 0+4 final 0+4 usd 0+30 | call_decided c7 allow by lee
        9s  | call    | a   |       | mail.send  | {"to":"a@x.test"} |      |     |                                  | waits as c7                  |                                                                 | calls 0+4 writes 0+4 final 0+4 usd 0+30 |
        9s  | settle  | a   |       |            | succeeded         | c7   |     |                                  | done                         |                                                                 | calls 1+3 writes 1+3 final 1+3 usd 0+30 | call_finished c7 succeeded by gate
        9s  | call    | a   |       | mail.send  | {"to":"a@x.test"} |      |     |                                  | same as c7: allow, succeeded | by desk.may[1]                                                  | calls 1+3 writes 1+3 final 1+3 usd 0+30 | collected
        10s | call    | a   |       | mail.send  | {"to":"a@x.test"} |      |     |                                  | allow                        | by desk.may[1]                                                  | calls 1+4 writes 1+4 final 1+4 usd 0+30 | call_decided c10 allow by lee
        10s | call    | a   |       | mail.send  | {"to":"b@x.test"} |      |     |                                  | ask                          | approval_required ask leads near desk.may[1]: approved by leads | calls 1+4 writes 1+4 final 1+4 usd 0+30 | call_decided c11 ask until 13:00:00
        11m | call    | a   |       | mail.send  | {"to":"a@x.test"} |      |     |                                  | ask                          | approval_required ask leads near desk.may[1]: approved by leads | calls 1+4 writes 1+4 final 1+4 usd 0+30 | call_decided c12 ask until 13:00:00
        11m | call    | z   |       | pay.refund | {"cents":60}      |      |     |                                  | ask                          | approval_required ask leads near desk.may[0]: approved by leads |                                         | call_decided c13 ask until 13:00:00
        12m | yes     | z   |       |            |                   | c13  | lee | 9 times 10m same /cents=60       | enough                       |                                                                 |                                         | answered yes by lee for leads
        12m | release | z   |       |            | {"cents":60}      | c13  |     |                                  | allow                        | by desk.may[0]                                                  | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c13 allow by lee
        12m | call    | z   |       | pay.refund | {"cents":61}      |      |     |                                  | ask                          | approval_required ask leads near desk.may[0]: approved by leads | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c14 ask until 13:00:00
        12m | call    | z   |       | mail.send  | {"to":"a@x.test"} |      |     |                                  | ask                          | approval_required ask leads near desk.may[1]: approved by leads | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c15 ask until 13:00:00
        13m | yes     | z   |       |            |                   | c15  | lee | 9 times 10m                      | enough                       |                                                                 | calls 0+1 writes 0+1 final 0+1 usd 0+10 | answered yes by lee for leads
        13m | release | z   |       |            | {"to":"a@x.test"} | c15  |     |                                  | allow                        | by desk.may[1]                                                  | calls 0+2 writes 0+2 final 0+2 usd 0+10 | call_decided c15 allow by lee
        13m | call    | z   |       | mail.send  | {"to":"b@x.test"} |      |     |                                  | ask                          | approval_required ask leads near desk.may[1]: approved by leads | calls 0+2 writes 0+2 final 0+2 usd 0+10 | call_decided c16 ask until 13:00:00
        "#]],
    );
}

#[test]
fn a_bounded_approval_ends_with_its_rules() {
    let next = with_rule(
        desk_book(),
        r#"@id("late") forbid (principal, action == Remit::Action::"crm.note", resource);"#,
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
    check_change(
        desk_book(),
        next,
        table,
        expect![[r#"
        at | do      | run | tool       | args         | call | by  | key                       | answer                | code                                                            | account                                 | event
        0s | open    | a   |            |              |      |     |                           | a open until 13:00:00 |                                                                 |                                         | run_opened
        1s | call    | a   | pay.refund | {"cents":50} |      |     |                           | ask                   | approval_required ask leads near desk.may[0]: approved by leads |                                         | call_decided c1 ask until 13:00:00
        2s | yes     | a   |            |              | c1   | lee | 9 times 10m cap /cents=50 | enough                |                                                                 |                                         | answered yes by lee for leads
        3s | release | a   |            | {"cents":50} | c1   |     |                           | allow                 | by desk.may[0]                                                  | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c1 allow by lee
        4s | call    | a   | pay.refund | {"cents":40} |      |     |                           | allow                 | by desk.may[0]                                                  | calls 0+2 writes 0+2 final 0+2 usd 0+20 | call_decided c2 allow by lee
        5s | rules   | a   |            |              |      |     |                           | done                  |                                                                 |                                         |
        6s | call    | a   | pay.refund | {"cents":30} |      |     |                           | ask                   | approval_required ask leads near desk.may[0]: approved by leads | calls 0+2 writes 0+2 final 0+2 usd 0+20 | call_decided c3 ask until 13:00:00
    "#]],
    );
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
    check(
        book,
        table,
        expect![[r#"
        at  | do      | run | tool       | args              | call | by  | answer                | code                                                            | account                        | event
        0s  | open    | a   |            |                   |      |     | a open until 13:00:00 |                                                                 |                                | run_opened
        1s  | call    | a   | mail.send  | {"to":"a@x.test"} |      |     | ask                   | approval_required ask leads near desk.may[1]: approved by leads |                                | call_decided c1 ask until 13:00:00
        2s  | look    | a   |            |                   | c1   |     | seen                  | destination 15, effect 35, first_use 10, hour 10, labels 10     |                                |
        2s  | yes     | a   |            |                   | c1   | lee | refused               | reason_required max 80                                          |                                |
        3s  | yes     | a   |            | they asked for it | c1   | lee | enough                |                                                                 |                                | answered yes by lee for leads
        4s  | release | a   |            | {"to":"a@x.test"} | c1   |     | allow                 | by desk.may[1]                                                  | calls 0+1 writes 0+1 final 0+1 | call_decided c1 allow by lee
        46h | open    | b   |            |                   |      |     | b open until 11:00:00 |                                                                 |                                | run_opened
        46h | call    | b   | mail.send  | {"to":"a@x.test"} |      |     | ask                   | approval_required ask leads near desk.may[1]: approved by leads |                                | call_decided c2 ask until 11:00:00
        46h | look    | b   |            |                   | c2   |     | seen                  | effect 35, labels 10                                            |                                |
        46h | call    | b   | mail.send  | {"to":"b@x.test"} |      |     | ask                   | approval_required ask leads near desk.may[1]: approved by leads |                                | call_decided c3 ask until 11:00:00
        46h | look    | b   |            |                   | c3   |     | seen                  | destination 15, effect 35, labels 10                            |                                |
        46h | call    | b   | pay.refund | {"cents":50}      |      |     | ask                   | approval_required ask leads near desk.may[0]: approved by leads |                                | call_decided c4 ask until 11:00:00
        46h | look    | b   |            |                   | c4   |     | seen                  | amount 20, effect 35, first_use 10                              |                                |
    "#]],
    );
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
    check(
        house(book(vec![agent])),
        table,
        expect![[r#"
        at | do   | run | tool       | args        | answer                | code                                                                   | account                                 | event
        0s | open | a   |            |             | a open until 13:00:00 |                                                                        |                                         | run_opened
        1s | call | a   | pay.refund | {"cents":5} | allow                 | would: approval_required ask leads near desk.may[0]: approved by leads | calls 0+1 writes 0+1 final 0+1 usd 0+10 | call_decided c1 allow
    "#]],
    );
}

#[test]
fn the_strictest_mode_of_what_it_does_holds() {
    let note = May { mode: Some(Mode::Observe), ..may("desk.may[1]", "crm.note") };
    let mut agent = manifest("desk", vec![may("desk.may[0]", "*"), note]);
    agent.owner = "vic".into();
    agent.modes = [(Effect::Read, Mode::Enforce), (Effect::Irreversible, Mode::Propose)].into();
    agent.mode = Mode::Observe;
    let mut staged = manifest("staged", vec![may("staged.may[0]", "crm.*")]);
    staged.modes = [(Effect::Reversible, Mode::Observe)].into();
    let table = r#"
        at | do   | run | agent  | tool       | args
        0s | open | a   | desk   |            |
        1s | call | a   | desk   | crm.lookup | {"id":"7"}
        1s | call | a   | desk   | crm.note   | {}
        1s | call | a   | desk   | pay.refund | {"cents":5}
        2s | open | b   | staged |            |
        2s | call | b   | staged | crm.note   | {}
        2s | call | b   | staged | pay.refund | {"cents":5}
    "#;
    check(
        house(book(vec![agent, staged])),
        table,
        expect![[r#"
        at | do   | run | agent  | tool       | args        | answer                | code                           | account              | event
        0s | open | a   | desk   |            |             | a open until 13:00:00 |                                |                      | run_opened
        1s | call | a   | desk   | crm.lookup | {"id":"7"}  | allow                 | by desk.may[0]                 | calls 0+1            | call_decided c1 allow
        1s | call | a   | desk   | crm.note   | {}          | allow                 | by desk.may[0]; by desk.may[1] | calls 0+2 writes 0+1 | call_decided c2 allow
        1s | call | a   | desk   | pay.refund | {"cents":5} | ask                   | proposed ask owner:vic         | calls 0+2 writes 0+1 | call_decided c3 ask until 13:00:00
        2s | open | b   | staged |            |             | b open until 13:00:02 |                                |                      | run_opened
        2s | call | b   | staged | crm.note   | {}          | allow                 | by staged.may[0]               | calls 0+1 writes 0+1 | call_decided c4 allow
        2s | call | b   | staged | pay.refund | {"cents":5} | deny                  | no_rule_allows                 | calls 0+1 writes 0+1 | call_decided c5 deny
        "#]],
    );
}
