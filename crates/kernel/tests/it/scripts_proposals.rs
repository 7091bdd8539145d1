//! Scripts: what an agent may only propose waits as one change of its run, and is done as one plan.

use expect_test::expect;
use kernel::agent::Mode;
use kernel::approvers::{Approvals, Group};
use kernel::book::Book;

use crate::script::{check, check_change};
use crate::scripts_plans::boxes;

pub(crate) const ALL: &[fn()] = &[
    what_is_proposed_is_approved_as_one_and_done_as_one,
    a_later_write_to_the_same_takes_the_place_of_the_earlier,
    some_are_picked_and_the_rest_is_refused,
    those_who_pick_must_agree,
    a_no_ends_all_of_it,
    a_yes_to_less_than_it_is_now_is_worth_nothing,
    what_is_gathered_is_exactly_what_was_proposed,
    a_run_is_not_done_over_its_proposals,
    no_answer_and_a_halt_end_all_of_it,
    what_fails_is_taken_back_with_the_rest,
    the_quota_holds_for_proposals,
    what_joins_others_ends_when_they_do,
    what_was_approved_is_not_gathered_while_paused_nor_once_it_is_over,
    rules_that_forbid_it_meanwhile_end_all_of_it,
];

/// The desk may do anything with boxes, and only proposes it; vic owns it.
fn proposing() -> Book {
    let mut book = boxes();
    let desk = book.agents.get_mut("desk").unwrap();
    (desk.mode, desk.owner, desk.phases) = (Mode::Propose, "vic".into(), false);
    let person = |name: &str, group: &str| (name.to_owned(), [group.to_owned()].into());
    book.house.approvals = Approvals {
        people: [person("lee", "leads"), person("lou", "leads"), person("vic", "none")].into(),
        reason_from: 101,
        ..Approvals::default()
    };
    book
}

/// Two of leads must say yes, too.
fn by_two() -> Book {
    let mut book = proposing();
    let desk = book.agents.get_mut("desk").unwrap();
    desk.may[0].ask = Some("leads".into());
    book.house.approvals.groups.insert("leads".into(), Group { quorum: 2, escalate: None });
    book
}

#[test]
fn what_is_proposed_is_approved_as_one_and_done_as_one() {
    let table = r#"
        at  | do     | run | tool    | args     | call | by  | key
        0s  | open   | a   |         |          |      |     |
        1s  | call   | a   | box.set | {"id":1} |      |     |
        1s  | call   | a   | box.get | {"id":1} |      |     |
        1s  | call   | a   | box.put | {"id":2} |      |     |
        2s  | call   | a   | box.set | {"id":1} |      |     |
        3s  | gather | a   |         |          | c1   |     |
        3s  | yes    | a   |         |          | c1   | lee |
        3s  | yes    | a   |         |          | c1   | vic |
        4s  | gather | a   |         |          | c1   |     |
        4s  | claim  | a   |         |          |      |     |
        4s  | commit | a   |         |          |      |     |
        5s  | call   | a   | box.set | {"id":1} |      |     |
        5s  | yes    | a   |         |          | c1   | vic |
        5s  | step   | a   |         | c1       |      |     |
    "#;
    check(
        proposing(),
        table,
        expect![[r#"
        at | do     | run | tool    | args     | call | by  | key | answer                             | code                        | account                       | event
        0s | open   | a   |         |          |      |     |     | a open until 13:00:00              |                             |                               | run_opened
        1s | call   | a   | box.set | {"id":1} |      |     |     | ask                                | proposed ask owner:vic      |                               | call_decided c1 ask until 13:00:00
        1s | call   | a   | box.get | {"id":1} |      |     |     | allow                              | by desk.may                 | calls 0+1                     | call_decided c2 allow
        1s | call   | a   | box.put | {"id":2} |      |     |     | ask                                | proposed ask owner:vic      | calls 0+1                     | call_decided c3 ask until 13:00:00
        2s | call   | a   | box.set | {"id":1} |      |     |     | waits as c1                        |                             | calls 0+1                     |
        3s | gather | a   |         |          | c1   |     |     | waits as c1                        |                             | calls 0+1                     |
        3s | yes    | a   |         |          | c1   | lee |     | refused                            | not_an_approver (owner:vic) | calls 0+1                     |
        3s | yes    | a   |         |          | c1   | vic |     | enough                             |                             | calls 0+1                     | answered yes by vic for owner:vic
        4s | gather | a   |         |          | c1   |     |     | plan 1 ask: c1 c3                  | c3: unguarded               | calls 0+1                     | plan_proposed ask of c1 c3; phase_changed explore to decide by plan
        4s | claim  | a   |         |          |      |     |     | done                               |                             | calls 0+1                     | claimed
        4s | commit | a   |         |          |      |     |     | committing: c1 waiting, c3 waiting |                             | calls 0+9 writes 0+4 usd 0+40 | commit_started
        5s | call   | a   | box.set | {"id":1} |      |     |     | waits as c1                        |                             | calls 0+9 writes 0+4 usd 0+40 |
        5s | yes    | a   |         |          | c1   | vic |     | refused                            | approval_unknown            | calls 0+9 writes 0+4 usd 0+40 |
        5s | step   | a   |         | c1       |      |     |     | allow                              | by desk.may                 | calls 0+9 writes 0+4 usd 0+40 | call_decided c6 allow by vic
        "#]],
    );
}

#[test]
fn a_later_write_to_the_same_takes_the_place_of_the_earlier() {
    let table = r#"
        at | do     | run | tool    | args           | call | by  | key
        0s | open   | a   |         |                |      |     |
        1s | call   | a   | box.set | {"id":1,"n":1} |      |     |
        1s | call   | a   | box.set | {"id":1,"n":2} |      |     |
        1s | call   | a   | box.put | {"id":1}       |      |     |
        1s | call   | a   | box.set | {"id":1,"n":1} |      |     |
        2s | yes    | a   |         |                | c1   | vic |
        3s | gather | a   |         |                | c1   |     |
    "#;
    check(
        proposing(),
        table,
        expect![[r#"
        at | do     | run | tool    | args           | call | by  | key | answer                | code                   | account | event
        0s | open   | a   |         |                |      |     |     | a open until 13:00:00 |                        |         | run_opened
        1s | call   | a   | box.set | {"id":1,"n":1} |      |     |     | ask                   | proposed ask owner:vic |         | call_decided c1 ask until 13:00:00
        1s | call   | a   | box.set | {"id":1,"n":2} |      |     |     | ask                   | proposed ask owner:vic |         | call_decided c2 ask until 13:00:00
        1s | call   | a   | box.put | {"id":1}       |      |     |     | ask                   | proposed ask owner:vic |         | call_decided c3 ask until 13:00:00
        1s | call   | a   | box.set | {"id":1,"n":1} |      |     |     | ask                   | proposed ask owner:vic |         | call_decided c4 ask until 13:00:00
        2s | yes    | a   |         |                | c1   | vic |     | enough                |                        |         | answered yes by vic for owner:vic
        3s | gather | a   |         |                | c1   |     |     | plan 1 ask: c3 c4     | c3: unguarded          |         | plan_proposed ask of c3 c4; phase_changed explore to decide by plan; call_decided c1 deny; call_decided c2 deny
    "#]],
    );
}

#[test]
fn some_are_picked_and_the_rest_is_refused() {
    let table = r#"
        at | do     | run | tool    | args     | call | by  | key
        0s | open   | a   |         |          |      |     |
        1s | call   | a   | box.set | {"id":1} |      |     |
        1s | call   | a   | box.set | {"id":2} |      |     |
        1s | call   | a   | box.set | {"id":3} |      |     |
        2s | yes    | a   |         |          | c1   | vic | only c9
        2s | yes    | a   |         |          | c1   | vic | only c2
        3s | gather | a   |         |          | c1   |     | all
        3s | gather | a   |         |          | c1   |     |
        4s | call   | a   | box.set | {"id":3} |      |     |
        4s | call   | a   | box.set | {"id":3} |      |     |
        5s | claim  | a   |         |          |      |     |
        5s | commit | a   |         |          |      |     |
        6s | yes    | a   |         |          | c6   | vic |
    "#;
    check(
        proposing(),
        table,
        expect![[r#"
        at | do     | run | tool    | args     | call | by  | key     | answer                 | code                                                        | account                       | event
        0s | open   | a   |         |          |      |     |         | a open until 13:00:00  |                                                             |                               | run_opened
        1s | call   | a   | box.set | {"id":1} |      |     |         | ask                    | proposed ask owner:vic                                      |                               | call_decided c1 ask until 13:00:00
        1s | call   | a   | box.set | {"id":2} |      |     |         | ask                    | proposed ask owner:vic                                      |                               | call_decided c2 ask until 13:00:00
        1s | call   | a   | box.set | {"id":3} |      |     |         | ask                    | proposed ask owner:vic                                      |                               | call_decided c3 ask until 13:00:00
        2s | yes    | a   |         |          | c1   | vic | only c9 | refused                | edit_refused (one of the picked is none that would be done) |                               |
        2s | yes    | a   |         |          | c1   | vic | only c2 | enough                 |                                                             |                               | answered yes by vic for owner:vic only c2
        3s | gather | a   |         |          | c1   |     | all     | refused                | plan_deviates (what was proposed)                           |                               |
        3s | gather | a   |         |          | c1   |     |         | plan 1 ask: c2         |                                                             |                               | plan_proposed ask of c2; phase_changed explore to decide by plan; call_decided c1 deny; call_decided c3 deny
        4s | call   | a   | box.set | {"id":3} |      |     |         | same as c3: deny, open | approval_denied (vic)                                       |                               | collected
        4s | call   | a   | box.set | {"id":3} |      |     |         | ask                    | proposed ask owner:vic                                      |                               | call_decided c5 ask until 13:00:00
        5s | claim  | a   |         |          |      |     |         | done                   |                                                             |                               | claimed
        5s | commit | a   |         |          |      |     |         | committing: c2 waiting |                                                             | calls 0+5 writes 0+2 usd 0+20 | commit_started
        6s | yes    | a   |         |          | c6   | vic |         | refused                | approval_unknown                                            | calls 0+5 writes 0+2 usd 0+20 |
    "#]],
    );
}

#[test]
fn those_who_pick_must_agree() {
    let table = r#"
        at | do     | run | tool    | args     | call | by  | key
        0s | open   | a   |         |          |      |     |
        1s | call   | a   | box.set | {"id":1} |      |     |
        1s | call   | a   | box.set | {"id":2} |      |     |
        2s | yes    | a   |         |          | c1   | vic |
        2s | yes    | a   |         |          | c1   | lee | only c1
        3s | gather | a   |         |          | c1   |     |
        3s | yes    | a   |         |          | c1   | lou | only c2
        4s | gather | a   |         |          | c1   |     |
        5s | open   | b   |         |          |      |     |
        5s | call   | b   | box.set | {"id":1} |      |     |
        5s | call   | b   | box.set | {"id":2} |      |     |
        6s | yes    | b   |         |          | c3   | vic |
        6s | yes    | b   |         |          | c3   | lee | only c4
        6s | yes    | b   |         |          | c3   | lou |
        7s | gather | b   |         |          | c3   |     |
    "#;
    check(
        by_two(),
        table,
        expect![[r#"
        at | do     | run | tool    | args     | call | by  | key     | answer                | code                                                              | account | event
        0s | open   | a   |         |          |      |     |         | a open until 13:00:00 |                                                                   |         | run_opened
        1s | call   | a   | box.set | {"id":1} |      |     |         | ask                   | proposed ask leads and owner:vic near desk.may: approved by leads |         | call_decided c1 ask until 13:00:00
        1s | call   | a   | box.set | {"id":2} |      |     |         | ask                   | proposed ask leads and owner:vic near desk.may: approved by leads |         | call_decided c2 ask until 13:00:00
        2s | yes    | a   |         |          | c1   | vic |         | counts, waits for 1   |                                                                   |         | answered yes by vic for owner:vic
        2s | yes    | a   |         |          | c1   | lee | only c1 | counts, waits for 1   |                                                                   |         | answered yes by lee for leads only c1
        3s | gather | a   |         |          | c1   |     |         | waits as c1           |                                                                   |         |
        3s | yes    | a   |         |          | c1   | lou | only c2 | enough                |                                                                   |         | answered yes by lou for leads only c2
        4s | gather | a   |         |          | c1   |     |         | refused               | approval_denied (lee, lou, vic)                                   |         | call_decided c2 deny; call_decided c1 deny
        5s | open   | b   |         |          |      |     |         | b open until 13:00:05 |                                                                   |         | run_opened
        5s | call   | b   | box.set | {"id":1} |      |     |         | ask                   | proposed ask leads and owner:vic near desk.may: approved by leads |         | call_decided c3 ask until 13:00:05
        5s | call   | b   | box.set | {"id":2} |      |     |         | ask                   | proposed ask leads and owner:vic near desk.may: approved by leads |         | call_decided c4 ask until 13:00:05
        6s | yes    | b   |         |          | c3   | vic |         | counts, waits for 1   |                                                                   |         | answered yes by vic for owner:vic
        6s | yes    | b   |         |          | c3   | lee | only c4 | counts, waits for 1   |                                                                   |         | answered yes by lee for leads only c4
        6s | yes    | b   |         |          | c3   | lou |         | enough                |                                                                   |         | answered yes by lou for leads
        7s | gather | b   |         |          | c3   |     |         | plan 1 ask: c4        |                                                                   |         | plan_proposed ask of c4; phase_changed explore to decide by plan; call_decided c3 deny
    "#]],
    );
}

#[test]
fn a_no_ends_all_of_it() {
    let table = r#"
        at | do     | run | tool    | args     | call | by  | key
        0s | open   | a   |         |          |      |     |
        1s | call   | a   | box.set | {"id":1} |      |     |
        1s | call   | a   | box.put | {"id":2} |      |     |
        2s | no     | a   |         | why      | c1   | vic |
        3s | call   | a   | box.put | {"id":2} |      |     |
        3s | call   | a   | box.put | {"id":2} |      |     |
        4s | gather | a   |         |          | c1   |     |
    "#;
    check(
        proposing(),
        table,
        expect![[r#"
        at | do     | run | tool    | args     | call | by  | key | answer                 | code                   | account | event
        0s | open   | a   |         |          |      |     |     | a open until 13:00:00  |                        |         | run_opened
        1s | call   | a   | box.set | {"id":1} |      |     |     | ask                    | proposed ask owner:vic |         | call_decided c1 ask until 13:00:00
        1s | call   | a   | box.put | {"id":2} |      |     |     | ask                    | proposed ask owner:vic |         | call_decided c2 ask until 13:00:00
        2s | no     | a   |         | why      | c1   | vic |     | counts, waits for 0    |                        |         | answered no by vic; call_decided c2 deny; call_decided c1 deny
        3s | call   | a   | box.put | {"id":2} |      |     |     | same as c2: deny, open | approval_denied (vic)  |         | collected
        3s | call   | a   | box.put | {"id":2} |      |     |     | ask                    | proposed ask owner:vic |         | call_decided c4 ask until 13:00:00
        4s | gather | a   |         |          | c1   |     |     | refused                | approval_unknown       |         |
    "#]],
    );
}

#[test]
fn a_yes_to_less_than_it_is_now_is_worth_nothing() {
    let table = r#"
        at | do     | run | tool    | args     | call | by  | key
        0s | open   | a   |         |          |      |     |
        1s | call   | a   | box.set | {"id":1} |      |     |
        1s | look   | a   |         |          | c1   |     |
        2s | call   | a   | box.set | {"id":2} |      |     |
        3s | yes    | a   |         |          | c1   | vic | old
        3s | yes    | a   |         |          | c1   | lee |
        4s | call   | a   | box.set | {"id":3} |      |     |
        4s | yes    | a   |         |          | c1   | vic |
        4s | yes    | a   |         |          | c1   | lou |
        5s | gather | a   |         |          | c1   |     |
    "#;
    check(
        by_two(),
        table,
        expect![[r#"
        at | do     | run | tool    | args     | call | by  | key | answer                | code                                                              | account | event
        0s | open   | a   |         |          |      |     |     | a open until 13:00:00 |                                                                   |         | run_opened
        1s | call   | a   | box.set | {"id":1} |      |     |     | ask                   | proposed ask leads and owner:vic near desk.may: approved by leads |         | call_decided c1 ask until 13:00:00
        1s | look   | a   |         |          | c1   |     |     | seen                  | amount 20, effect 15, first_use 10, hour 10                       |         |
        2s | call   | a   | box.set | {"id":2} |      |     |     | ask                   | proposed ask leads and owner:vic near desk.may: approved by leads |         | call_decided c2 ask until 13:00:00
        3s | yes    | a   |         |          | c1   | vic | old | refused               | approval_stale                                                    |         |
        3s | yes    | a   |         |          | c1   | lee |     | counts, waits for 2   |                                                                   |         | answered yes by lee for leads
        4s | call   | a   | box.set | {"id":3} |      |     |     | ask                   | proposed ask leads and owner:vic near desk.may: approved by leads |         | call_decided c3 ask until 13:00:00
        4s | yes    | a   |         |          | c1   | vic |     | counts, waits for 1   |                                                                   |         | answered yes by vic for owner:vic
        4s | yes    | a   |         |          | c1   | lou |     | counts, waits for 1   |                                                                   |         | answered yes by lou for leads
        5s | gather | a   |         |          | c1   |     |     | waits as c1           |                                                                   |         |
    "#]],
    );
}

#[test]
fn what_is_gathered_is_exactly_what_was_proposed() {
    let table = r#"
        at | do     | run | tool    | args                         | call | by  | key
        0s | open   | a   |         |                              |      |     |
        1s | call   | a   | crm.note | {"text":"$steps.a.result.id"}  |      |     |
        1s | call   | a   | box.set | {"id":1}                     |      |     |
        2s | yes    | a   |         |                              | c2   | vic |
        2s | edit   | a   |         | {"id":2}                     | c2   | vic |
        3s | gather | a   |         |                              | c2   |     | other
        3s | release | a  |         | {"id":1}                     | c2   |     |
        4s | gather | a   |         |                              | c2   |     |
        5s | gather | a   |         |                              | c2   |     |
    "#;
    check(
        proposing(),
        table,
        expect![[r#"
        at | do      | run | tool     | args                          | call | by  | key   | answer                | code                                                                 | account | event
        0s | open    | a   |          |                               |      |     |       | a open until 13:00:00 |                                                                      |         | run_opened
        1s | call    | a   | crm.note | {"text":"$steps.a.result.id"} |      |     |       | deny                  | plan_invalid at /text (it reads like the result of a step of a plan) |         | call_decided c1 deny
        1s | call    | a   | box.set  | {"id":1}                      |      |     |       | ask                   | proposed ask owner:vic                                               |         | call_decided c2 ask until 13:00:00
        2s | yes     | a   |          |                               | c2   | vic |       | enough                |                                                                      |         | answered yes by vic for owner:vic
        2s | edit    | a   |          | {"id":2}                      | c2   | vic |       | refused               | already_answered (vic)                                               |         |
        3s | gather  | a   |          |                               | c2   |     | other | refused               | plan_deviates (what was proposed)                                    |         |
        3s | release | a   |          | {"id":1}                      | c2   |     |       | refused               | approval_unknown                                                     |         |
        4s | gather  | a   |          |                               | c2   |     |       | plan 1 ask: c2        |                                                                      |         | plan_proposed ask of c2; phase_changed explore to decide by plan
        5s | gather  | a   |          |                               | c2   |     |       | refused               | approval_unknown                                                     |         |
        "#]],
    );
}

#[test]
fn a_run_is_not_done_over_its_proposals() {
    let table = r#"
        at | do    | run | tool    | args     | call | by | key
        0s | open  | a   |         |          |      |    |
        1s | call  | a   | box.set | {"id":1} |      |    |
        1s | call  | a   | box.set | {"id":2} |      |    |
        2s | close | a   |         |          |      |    |
        3s | close | a   |         |          |      |    | abandoned
    "#;
    check(
        proposing(),
        table,
        expect![[r#"
        at | do    | run | tool    | args     | call | by | key       | answer                | code                   | account | event
        0s | open  | a   |         |          |      |    |           | a open until 13:00:00 |                        |         | run_opened
        1s | call  | a   | box.set | {"id":1} |      |    |           | ask                   | proposed ask owner:vic |         | call_decided c1 ask until 13:00:00
        1s | call  | a   | box.set | {"id":2} |      |    |           | ask                   | proposed ask owner:vic |         | call_decided c2 ask until 13:00:00
        2s | close | a   |         |          |      |    |           | refused               | proposals_wait         |         |
        3s | close | a   |         |          |      |    | abandoned | done                  |                        |         | call_decided c2 deny; call_decided c1 deny; run_closed abandoned by ann
    "#]],
    );
}

#[test]
fn no_answer_and_a_halt_end_all_of_it() {
    let table = r#"
        at  | do    | run | tool    | args     | call | by  | key
        0s  | open  | a   |         |          |      |     |
        1s  | call  | a   | box.set | {"id":1} |      |     |
        1s  | call  | a   | box.set | {"id":2} |      |     |
        2s  | halt  | a   |         | run:own  |      |     |
        2s  | yes   | a   |         |          | c1   | vic |
        3s  | sweep | a   |         |          |      |     |
        4s  | open  | b   |         |          |      |     |
        4s  | call  | b   | box.set | {"id":1} |      |     |
        4s  | call  | b   | box.set | {"id":2} |      |     |
        61m | sweep | b   |         |          |      |     |
    "#;
    check(
        proposing(),
        table,
        expect![[r#"
        at  | do    | run | tool    | args     | call | by  | key | answer                | code                                                                                                  | account | event
        0s  | open  | a   |         |          |      |     |     | a open until 13:00:00 |                                                                                                       |         | run_opened
        1s  | call  | a   | box.set | {"id":1} |      |     |     | ask                   | proposed ask owner:vic                                                                                |         | call_decided c1 ask until 13:00:00
        1s  | call  | a   | box.set | {"id":2} |      |     |     | ask                   | proposed ask owner:vic                                                                                |         | call_decided c2 ask until 13:00:00
        2s  | halt  | a   |         | run:own  |      |     |     | done                  |                                                                                                       |         | halted
        2s  | yes   | a   |         |          | c1   | vic |     | refused               | approval_cancelled (run:run_00000000000000000000000001, since 2026-11-21T12:00:02.000Z by ann: smoke) |         |
        3s  | sweep | a   |         |          |      |     |     | done                  |                                                                                                       |         | call_decided c2 deny; call_decided c1 deny
        4s  | open  | b   |         |          |      |     |     | b open until 13:00:04 |                                                                                                       |         | run_opened
        4s  | call  | b   | box.set | {"id":1} |      |     |     | ask                   | proposed ask owner:vic                                                                                |         | call_decided c3 ask until 13:00:04
        4s  | call  | b   | box.set | {"id":2} |      |     |     | ask                   | proposed ask owner:vic                                                                                |         | call_decided c4 ask until 13:00:04
        61m | sweep | b   |         |          |      |     |     | done                  |                                                                                                       |         | run_closed expired by sweep; call_decided c4 deny; call_decided c3 deny; run_closed expired by sweep
    "#]],
    );
}

#[test]
fn what_fails_is_taken_back_with_the_rest() {
    let table = r#"
        at  | do     | run | tool    | args      | call | by  | key
        0s  | open   | a   |         |           |      |     |
        1s  | call   | a   | box.put | {"id":1}  |      |     |
        1s  | call   | a   | box.put | {"id":2}  |      |     |
        2s  | yes    | a   |         |           | c1   | vic |
        3s  | gather | a   |         |           | c1   |     |
        3s  | claim  | a   |         |           |      |     |
        3s  | commit | a   |         |           |      |     |
        4s  | step   | a   |         | c1        |      |     |
        5s  | settle | a   |         | succeeded | c3   |     |
        6s  | step   | a   |         | c2        |      |     |
        7s  | settle | a   |         | failed    | c4   |     |
        8s  | unwind | a   |         |           |      |     |
        9s  | undo   | a   |         | c1        |      |     |
        10s | settle | a   |         | succeeded | c5   |     |
        11s | end    | a   |         |           |      |     |
        12s | call   | a   | box.put | {"id":2}  |      |     |
        13s | call   | a   | box.put | {"id":2}  |      |     |
    "#;
    let mut book = proposing();
    book.agents.get_mut("desk").unwrap().commits.on_failure = kernel::progress::OnFailure::PauseForReplan;
    check(
        book,
        table,
        expect![[r#"
        at  | do     | run | tool    | args      | call | by  | key | answer                             | code                         | account                        | event
        0s  | open   | a   |         |           |      |     |     | a open until 13:00:00              |                              |                                | run_opened
        1s  | call   | a   | box.put | {"id":1}  |      |     |     | ask                                | proposed ask owner:vic       |                                | call_decided c1 ask until 13:00:00
        1s  | call   | a   | box.put | {"id":2}  |      |     |     | ask                                | proposed ask owner:vic       |                                | call_decided c2 ask until 13:00:00
        2s  | yes    | a   |         |           | c1   | vic |     | enough                             |                              |                                | answered yes by vic for owner:vic
        3s  | gather | a   |         |           | c1   |     |     | plan 1 ask: c1 c2                  | c1: unguarded; c2: unguarded |                                | plan_proposed ask of c1 c2; phase_changed explore to decide by plan
        3s  | claim  | a   |         |           |      |     |     | done                               |                              |                                | claimed
        3s  | commit | a   |         |           |      |     |     | committing: c1 waiting, c2 waiting |                              | calls 0+6 writes 0+4 usd 0+40  | commit_started
        4s  | step   | a   |         | c1        |      |     |     | allow                              | by desk.may                  | calls 0+6 writes 0+4 usd 0+40  | call_decided c3 allow by vic
        5s  | settle | a   |         | succeeded | c3   |     |     | done                               |                              | calls 1+5 writes 1+3 usd 10+30 | call_finished c3 succeeded by gate
        6s  | step   | a   |         | c2        |      |     |     | allow                              | by desk.may                  | calls 1+5 writes 1+3 usd 10+30 | call_decided c4 allow by vic
        7s  | settle | a   |         | failed    | c4   |     |     | done                               |                              | calls 2+4 writes 2+2 usd 10+20 | call_finished c4 failed by gate
        8s  | unwind | a   |         |           |      |     |     | unwinding: c1 done, c2 failed      |                              | calls 2+4 writes 2+2 usd 10+20 | unwind_started failed by saga
        9s  | undo   | a   |         | c1        |      |     |     | allow                              |                              | calls 2+4 writes 2+2 usd 10+20 | call_decided c5 allow
        10s | settle | a   |         | succeeded | c5   |     |     | done                               |                              | calls 3+3 writes 3+1 usd 20+10 | call_finished c5 succeeded by gate
        11s | end    | a   |         |           |      |     |     | rolled_back: c1 undone, c2 failed  |                              | calls 3+0 writes 3+0 usd 20+0  | commit_ended rolled_back
        12s | call   | a   | box.put | {"id":2}  |      |     |     | same as c2: allow, open            |                              | calls 3+0 writes 3+0 usd 20+0  | collected
        13s | call   | a   | box.put | {"id":2}  |      |     |     | ask                                | proposed ask owner:vic       | calls 3+0 writes 3+0 usd 20+0  | call_decided c7 ask until 13:00:00
        "#]],
    );
}

#[test]
fn the_quota_holds_for_proposals() {
    let mut book = proposing();
    book.house.approvals.per_run_max = 1;
    let table = r#"
        at | do     | run | tool    | args     | call | by  | key
        0s | open   | a   |         |          |      |     |
        1s | call   | a   | box.set | {"id":1} |      |     |
        1s | call   | a   | box.set | {"id":2} |      |     |
        2s | no     | a   |         |          | c1   | vic |
        3s | call   | a   | box.set | {"id":3} |      |     |
        3s | call   | a   | box.set | {"id":4} |      |     |
    "#;
    check(
        book,
        table,
        expect![[r#"
        at | do   | run | tool    | args     | call | by  | key | answer                | code                                                                           | account | event
        0s | open | a   |         |          |      |     |     | a open until 13:00:00 |                                                                                |         | run_opened
        1s | call | a   | box.set | {"id":1} |      |     |     | ask                   | proposed ask owner:vic                                                         |         | call_decided c1 ask until 13:00:00
        1s | call | a   | box.set | {"id":2} |      |     |     | ask                   | proposed ask owner:vic                                                         |         | call_decided c2 ask until 13:00:00
        2s | no   | a   |         |          | c1   | vic |     | counts, waits for 0   |                                                                                |         | answered no by vic; call_decided c2 deny; call_decided c1 deny
        3s | call | a   | box.set | {"id":3} |      |     |     | deny                  | limit_reached (questions to people in one run) max 1                           |         | call_decided c3 deny; run_paused by ask_quota
        3s | call | a   | box.set | {"id":4} |      |     |     | deny                  | run_paused (no more than 1 questions to people in one run, and it asked again) |         | call_decided c4 deny
    "#]],
    );
}

#[test]
fn rules_that_forbid_it_meanwhile_end_all_of_it() {
    let mut next = proposing();
    next.agents.get_mut("desk").unwrap().purpose = "other rules".into();
    let table = r#"
        at | do     | run | tool    | args     | call | by  | key
        0s | open   | a   |         |          |      |     |
        1s | call   | a   | box.set | {"id":1} |      |     |
        2s | yes    | a   |         |          | c1   | vic |
        3s | rules  | a   |         |          |      |     |
        4s | gather | a   |         |          | c1   |     |
        4s | yes    | a   |         |          | c1   | vic |
        5s | halt   | a   |         | tool:box.set |  |     |
        6s | gather | a   |         |          | c1   |     |
    "#;
    check_change(
        proposing(),
        next,
        table,
        expect![[r#"
        at | do     | run | tool    | args         | call | by  | key | answer                | code                                                                | account | event
        0s | open   | a   |         |              |      |     |     | a open until 13:00:00 |                                                                     |         | run_opened
        1s | call   | a   | box.set | {"id":1}     |      |     |     | ask                   | proposed ask owner:vic                                              |         | call_decided c1 ask until 13:00:00
        2s | yes    | a   |         |              | c1   | vic |     | enough                |                                                                     |         | answered yes by vic for owner:vic
        3s | rules  | a   |         |              |      |     |     | done                  |                                                                     |         |
        4s | gather | a   |         |              | c1   |     |     | waits as c1           |                                                                     |         |
        4s | yes    | a   |         |              | c1   | vic |     | enough                |                                                                     |         | answered yes by vic for owner:vic
        5s | halt   | a   |         | tool:box.set |      |     |     | done                  |                                                                     |         | halted
        6s | gather | a   |         |              | c1   |     |     | refused               | halted (tool:box.set, since 2026-11-21T12:00:05.000Z by ann: smoke) |         | call_decided c1 deny
    "#]],
    );
}

/// Nobody keeps a question open by proposing more; and what is proposed is approved as it stands, and once.
#[test]
fn what_joins_others_ends_when_they_do() {
    let mut book = proposing();
    book.house.approvals.expires_ms = 600_000;
    let table = r#"
        at  | do    | run | tool    | args     | call | by  | key
        0s  | open  | a   |         |          |      |     |
        1s  | call  | a   | box.set | {"id":1} |      |     |
        2s  | edit  | a   |         | {"id":9} | c1   | vic |
        2s  | yes   | a   |         |          | c1   | vic | 2 times 1h same /id=1
        9m  | call  | a   | box.set | {"id":2} |      |     |
        11m | yes   | a   |         |          | c1   | vic |
        11m | sweep | a   |         |          |      |     |
    "#;
    check(
        book,
        table,
        expect![[r#"
        at  | do    | run | tool    | args     | call | by  | key                   | answer                | code                                                 | account | event
        0s  | open  | a   |         |          |      |     |                       | a open until 13:00:00 |                                                      |         | run_opened
        1s  | call  | a   | box.set | {"id":1} |      |     |                       | ask                   | proposed ask owner:vic                               |         | call_decided c1 ask until 12:10:01
        2s  | edit  | a   |         | {"id":9} | c1   | vic |                       | refused               | edit_refused (a plan is approved as it is, and once) |         |
        2s  | yes   | a   |         |          | c1   | vic | 2 times 1h same /id=1 | refused               | edit_refused (a plan is approved as it is, and once) |         |
        9m  | call  | a   | box.set | {"id":2} |      |     |                       | ask                   | proposed ask owner:vic                               |         | call_decided c2 ask until 12:10:01
        11m | yes   | a   |         |          | c1   | vic |                       | refused               | approval_expired                                     |         |
        11m | sweep | a   |         |          |      |     |                       | done                  |                                                      |         | call_decided c2 deny; call_decided c1 deny
    "#]],
    );
}

#[test]
fn what_was_approved_is_not_gathered_while_paused_nor_once_it_is_over() {
    let table = r#"
        at  | do     | run | tool    | args     | call | by
        0s  | open   | a   |         |          |      |
        1s  | call   | a   | box.set | {"id":1} |      |
        2s  | yes    | a   |         |          | c1   | vic
        3s  | pause  | a   |         |          |      |
        4s  | gather | a   |         |          | c1   |
        5s  | halt   | a   |         | run:own  |      |
        6s  | gather | a   |         |          | c1   |
        7s  | open   | b   |         |          |      |
        8s  | call   | b   | box.set | {"id":1} |      |
        9s  | yes    | b   |         |          | c2   | vic
        61m | gather | b   |         |          | c2   |
    "#;
    check(
        proposing(),
        table,
        expect![[r#"
        at  | do     | run | tool    | args     | call | by  | answer                | code                                                                                                  | account | event
        0s  | open   | a   |         |          |      |     | a open until 13:00:00 |                                                                                                       |         | run_opened
        1s  | call   | a   | box.set | {"id":1} |      |     | ask                   | proposed ask owner:vic                                                                                |         | call_decided c1 ask until 13:00:00
        2s  | yes    | a   |         |          | c1   | vic | enough                |                                                                                                       |         | answered yes by vic for owner:vic
        3s  | pause  | a   |         |          |      |     | done                  |                                                                                                       |         | run_paused by ann
        4s  | gather | a   |         |          | c1   |     | waits as c1           |                                                                                                       |         |
        5s  | halt   | a   |         | run:own  |      |     | done                  |                                                                                                       |         | halted
        6s  | gather | a   |         |          | c1   |     | refused               | approval_cancelled (run:run_00000000000000000000000001, since 2026-11-21T12:00:05.000Z by ann: smoke) |         | call_decided c1 deny
        7s  | open   | b   |         |          |      |     | b open until 13:00:07 |                                                                                                       |         | run_opened
        8s  | call   | b   | box.set | {"id":1} |      |     | ask                   | proposed ask owner:vic                                                                                |         | call_decided c2 ask until 13:00:07
        9s  | yes    | b   |         |          | c2   | vic | enough                |                                                                                                       |         | answered yes by vic for owner:vic
        61m | gather | b   |         |          | c2   |     | refused               | approval_expired                                                                                      |         | call_decided c2 deny
    "#]],
    );
}
