//! Scripts: tools whose servers change their words, and runs that nobody opened.

use expect_test::expect;
use kernel::contract::{Forbidden, Pattern};
use serde_json::json;
use stdx::digest::Digest;

use crate::book::{book, desk};
use crate::script::check;

pub(crate) const ALL: &[fn()] = &[
    a_tool_that_its_server_describes_anew_is_quarantined,
    a_credential_has_one_implicit_run_at_a_time,
    a_credentials_run_has_phases_too,
    what_must_not_pass_and_where_nothing_may_go,
];

#[test]
fn a_tool_that_its_server_describes_anew_is_quarantined() {
    let mut book = book(vec![desk()]);
    let note = book.tools.get_mut("crm.note").unwrap();
    note.definition = Some(serde_json::json!({ "name": "note" }));
    note.pin = Some(Digest::of(b"accepted"));
    let table = r#"
        at | do   | run | tool       | args
        0s | open | a   |            |
        1s | call | a   | crm.note   | {}
        2s | seen |     | crm.note   | accepted
        2s | call | a   | crm.note   | {}
        3s | seen |     | crm.note   | changed
        3s | seen |     | crm.note   | changed
        3s | call | a   | crm.note   | {}
        3s | call | a   | crm.lookup | {"id":"7"}
        4s | seen |     | crm.lookup | changed
        4s | call | a   | crm.lookup | {"id":"7"}
        5s | seen |     | crm.note   | accepted
        5s | call | a   | crm.note   | {}
    "#;
    check(
        book,
        table,
        expect![[r#"
        at | do   | run | tool       | args       | answer                | code                    | account              | event
        0s | open | a   |            |            | a open until 13:00:00 |                         |                      | run_opened
        1s | call | a   | crm.note   | {}         | allow                 | by desk.may             | calls 0+1 writes 0+1 | call_decided c1 allow
        2s | seen |     | crm.note   | accepted   | done                  |                         |                      | tool_seen
        2s | call | a   | crm.note   | {}         | allow                 | by desk.may             | calls 0+2 writes 0+2 | call_decided c2 allow
        3s | seen |     | crm.note   | changed    | done                  |                         |                      | tool_seen
        3s | seen |     | crm.note   | changed    | done                  |                         |                      |
        3s | call | a   | crm.note   | {}         | deny                  | tool_changed (crm.note) | calls 0+2 writes 0+2 | call_decided c3 deny
        3s | call | a   | crm.lookup | {"id":"7"} | allow                 | by desk.may             | calls 0+3 writes 0+2 | call_decided c4 allow
        4s | seen |     | crm.lookup | changed    | done                  |                         |                      | tool_seen
        4s | call | a   | crm.lookup | {"id":"7"} | allow                 | by desk.may             | calls 0+4 writes 0+2 | call_decided c5 allow
        5s | seen |     | crm.note   | accepted   | done                  |                         |                      | tool_seen
        5s | call | a   | crm.note   | {}         | allow                 | by desk.may             | calls 0+5 writes 0+3 | call_decided c6 allow
    "#]],
    );
}

#[test]
fn a_credential_has_one_implicit_run_at_a_time() {
    let mut book = book(vec![desk()]);
    book.house.implicit_idle_ms = 600_000;
    book.house.run_ttl_ms = 1_800_000;
    let table = r#"
        at  | do    | run | agent | key | tool       | args
        0m  | open  | a   |       | k1  |            |
        1m  | open  | b   |       | k1  |            |
        1m  | open  | c   |       | k2  |            |
        5m  | call  | a   |       |     | crm.lookup | {"id":"7"}
        11m | sweep |     |       |     |            |
        14m | call  | a   |       |     | crm.erase  | {}
        24m | call  | a   |       |     | crm.lookup | {"id":"7"}
        24m | open  | d   |       | k1  |            |
        24m | sweep |     |       |     |            |
        25m | open  | e   |       | k1  |            |
        26m | close | d   |       |     |            |
        26m | open  | f   |       | k1  |            |
        35m | call  | f   |       |     | crm.lookup | {"id":"7"}
        44m | call  | f   |       |     | crm.lookup | {"id":"7"}
        53m | call  | f   |       |     | crm.lookup | {"id":"7"}
        56m | call  | f   |       |     | crm.lookup | {"id":"7"}
        56m | sweep |     |       |     |            |
    "#;
    check(
        book,
        table,
        expect![[r#"
        at  | do    | run | agent | key | tool       | args       | answer                | code                     | account   | event
        0m  | open  | a   |       | k1  |            |            | a open until 12:30:00 |                          |           | run_opened
        1m  | open  | b   |       | k1  |            |            | a open until 12:30:00 |                          |           |
        1m  | open  | c   |       | k2  |            |            | c open until 12:31:00 |                          |           | run_opened
        5m  | call  | a   |       |     | crm.lookup | {"id":"7"} | allow                 | by desk.may              | calls 0+1 | call_decided c1 allow
        11m | sweep |     |       |     |            |            | done                  |                          |           | run_closed expired by sweep
        14m | call  | a   |       |     | crm.erase  | {}         | deny                  | tool_unknown (crm.erase) | calls 0+1 | call_decided c2 deny
        24m | call  | a   |       |     | crm.lookup | {"id":"7"} | deny                  | run_expired              | calls 0+1 | call_decided c3 deny
        24m | open  | d   |       | k1  |            |            | d open until 12:54:00 |                          |           | run_opened
        24m | sweep |     |       |     |            |            | done                  |                          |           | run_closed expired by sweep
        25m | open  | e   |       | k1  |            |            | d open until 12:54:00 |                          |           |
        26m | close | d   |       |     |            |            | done                  |                          |           | run_closed success by ann
        26m | open  | f   |       | k1  |            |            | f open until 12:56:00 |                          |           | run_opened
        35m | call  | f   |       |     | crm.lookup | {"id":"7"} | allow                 | by desk.may              | calls 0+1 | call_decided c4 allow
        44m | call  | f   |       |     | crm.lookup | {"id":"7"} | allow                 | by desk.may              | calls 0+2 | call_decided c5 allow
        53m | call  | f   |       |     | crm.lookup | {"id":"7"} | allow                 | by desk.may              | calls 0+3 | call_decided c6 allow
        56m | call  | f   |       |     | crm.lookup | {"id":"7"} | deny                  | run_expired              | calls 0+3 | call_decided c7 deny
        56m | sweep |     |       |     |            |            | done                  |                          |           | run_closed expired by sweep
    "#]],
    );
}

#[test]
fn a_credentials_run_has_phases_too() {
    let mut agent = desk();
    agent.phases = true;
    let table = r#"
        at | do    | run | key | tool       | args
        0s | open  | a   | k1  |            |
        0s | call  | a   |     | crm.lookup | {"id":"7"}
        0s | call  | a   |     | crm.note   | {}
        1s | phase | a   |     |            | decide
        1s | call  | a   |     | crm.lookup | {"id":"7"}
        1s | call  | a   |     | crm.note   | {}
        2s | phase | a   |     |            | decide
        2s | phase | a   |     |            | explore
    "#;
    check(
        book(vec![agent]),
        table,
        expect![[r#"
        at | do    | run | key | tool       | args       | answer                | code                    | account   | event
        0s | open  | a   | k1  |            |            | a open until 13:00:00 |                         |           | run_opened
        0s | call  | a   |     | crm.lookup | {"id":"7"} | allow                 | by desk.may             | calls 0+1 | call_decided c1 allow
        0s | call  | a   |     | crm.note   | {}         | deny                  | phase_forbids (explore) | calls 0+1 | call_decided c2 deny
        1s | phase | a   |     |            | decide     | decide                |                         | calls 0+1 | phase_changed explore to decide by agent
        1s | call  | a   |     | crm.lookup | {"id":"7"} | allow                 | by desk.may             | calls 0+2 | call_decided c3 allow
        1s | call  | a   |     | crm.note   | {}         | deny                  | phase_forbids (decide)  | calls 0+2 | call_decided c4 deny
        2s | phase | a   |     |            | decide     | decide                |                         | calls 0+2 |
        2s | phase | a   |     |            | explore    | explore               |                         | calls 0+2 | phase_changed decide to explore by agent
    "#]],
    );
}

#[test]
fn what_must_not_pass_and_where_nothing_may_go() {
    let mut book = book(vec![desk()]);
    let mail = book.tools.get_mut("mail.send").unwrap();
    mail.input = json!({ "type": "object", "properties": { "to": {}, "body": {} }, "required": ["to"] });
    mail.to = vec!["*@shop.example".into(), "*@bank.example".into()];
    mail.redact.arguments = vec![
        Forbidden { pattern: Pattern::CreditCard, unless_to: Vec::new() },
        Forbidden { pattern: Pattern::Iban, unless_to: vec!["*@bank.example".into()] },
    ];
    let table = r#"
        at | do   | run | tool      | args
        0s | open | a   |           |
        1s | call | a   | mail.send | {"to":"a@shop.example","body":"thanks"}
        1s | call | a   | mail.send | {"to":["a@shop.example","eve@evil.example"]}
        1s | call | a   | mail.send | {"to":[]}
        1s | call | a   | mail.send | {"to":"a@bank.example","body":"4111 1111 1111 1111"}
        1s | call | a   | mail.send | {"to":"a@shop.example","body":"DE89370400440532013000"}
        1s | call | a   | mail.send | {"to":"a@bank.example","body":"DE89370400440532013000"}
        1s | call | a   | mail.send | {"to":["a@bank.example","a@shop.example"],"body":"DE89370400440532013000"}
    "#;
    check(
        book,
        table,
        expect![[r#"
        at | do   | run | tool      | args                                                                       | answer                | code                                                             | account                        | event
        0s | open | a   |           |                                                                            | a open until 13:00:00 |                                                                  |                                | run_opened
        1s | call | a   | mail.send | {"to":"a@shop.example","body":"thanks"}                                    | allow                 | by desk.may                                                      | calls 0+1 writes 0+1 final 0+1 | call_decided c1 allow
        1s | call | a   | mail.send | {"to":["a@shop.example","eve@evil.example"]}                               | deny                  | destination_forbidden at /to/1 (*@shop.example, *@bank.example)  | calls 0+1 writes 0+1 final 0+1 | call_decided c2 deny
        1s | call | a   | mail.send | {"to":[]}                                                                  | deny                  | destination_forbidden at  (*@shop.example, *@bank.example)       | calls 0+1 writes 0+1 final 0+1 | call_decided c3 deny
        1s | call | a   | mail.send | {"to":"a@bank.example","body":"4111 1111 1111 1111"}                       | deny                  | content_forbidden at /body (the number of a payment card)        | calls 0+1 writes 0+1 final 0+1 | call_decided c4 deny
        1s | call | a   | mail.send | {"to":"a@shop.example","body":"DE89370400440532013000"}                    | deny                  | content_forbidden at /body (the number of a bank account (IBAN)) | calls 0+1 writes 0+1 final 0+1 | call_decided c5 deny
        1s | call | a   | mail.send | {"to":"a@bank.example","body":"DE89370400440532013000"}                    | allow                 | by desk.may                                                      | calls 0+2 writes 0+2 final 0+2 | call_decided c6 allow
        1s | call | a   | mail.send | {"to":["a@bank.example","a@shop.example"],"body":"DE89370400440532013000"} | deny                  | content_forbidden at /body (the number of a bank account (IBAN)) | calls 0+2 writes 0+2 final 0+2 | call_decided c7 deny
    "#]],
    );
}
