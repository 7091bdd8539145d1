//! Scripts: halts of each scope, keys, and floods.

use expect_test::expect;

use kernel::agent::Manifest;

use crate::book::{anything, book, desk};
use crate::script::check;

pub(crate) const ALL: &[fn()] = &[
    halts_of_each_scope,
    halts_of_effects_tenants_and_environments,
    a_freeze_lets_reads_go,
    a_halt_lifts_itself,
    a_halt_names_what_there_is,
    a_halt_of_a_run_holds_what_descends_from_it,
    no_run_opens_under_a_halt,
    keys_come_and_go,
    a_flood_is_recorded_once,
];

#[test]
fn halts_of_each_scope() {
    let other = anything("other");
    let table = r#"
        at | do     | run | agent | tool       | args
        0s | open   | a   | desk  |            |
        0s | open   | b   | other |            |
        1s | halt   |     |       |            | writes
        1s | call   | a   | desk  | crm.note   | {}
        1s | call   | a   | desk  | crm.erase  | {}
        1s | call   | a   | desk  | crm.lookup | {"id":"7"}
        1s | resume |     |       |            | writes
        2s | halt   |     |       |            | agent:desk
        2s | call   | a   | desk  | crm.note   | {}
        2s | call   | b   | other | crm.note   | {}
        2s | resume |     |       |            | agent:desk
        3s | halt   |     |       |            | server:crm
        3s | call   | a   | desk  | crm.note   | {}
        3s | call   | a   | desk  | pay.refund | {"cents":1}
        3s | resume |     |       |            | server:crm
        4s | halt   |     |       |            | tool:crm.note
        4s | call   | a   | desk  | crm.note   | {}
        4s | call   | a   | desk  | crm.lookup | {"id":"7"}
        4s | resume |     |       |            | tool:crm.note
        5s | halt   | a   |       |            | run:own
        5s | call   | a   | desk  | crm.note   | {}
        5s | call   | b   | other | crm.note   | {}
        5s | resume | a   |       |            | run:own
        6s | halt   |     |       |            | all
        6s | call   | a   | desk  | crm.lookup | {"id":"7"}
        6s | resume |     |       |            | writes
        6s | call   | a   | desk  | crm.lookup | {"id":"7"}
        6s | resume |     |       |            | all
        6s | call   | a   | desk  | crm.lookup | {"id":"7"}
    "#;
    check(
        book(vec![desk(), other]),
        table,
        expect![[r#"
        at | do     | run | agent | tool       | args          | answer                | code                                                                                      | account                                 | event
        0s | open   | a   | desk  |            |               | a open until 13:00:00 |                                                                                           |                                         | run_opened
        0s | open   | b   | other |            |               | b open until 13:00:00 |                                                                                           |                                         | run_opened
        1s | halt   |     |       |            | writes        | done                  |                                                                                           |                                         | halted
        1s | call   | a   | desk  | crm.note   | {}            | deny                  | halted (writes, since 2026-11-21T12:00:01.000Z by ann: smoke)                             |                                         | call_decided c1 deny
        1s | call   | a   | desk  | crm.erase  | {}            | deny                  | halted (writes, since 2026-11-21T12:00:01.000Z by ann: smoke)                             |                                         | call_decided c2 deny
        1s | call   | a   | desk  | crm.lookup | {"id":"7"}    | allow                 | by desk.may                                                                               | calls 0+1                               | call_decided c3 allow
        1s | resume |     |       |            | writes        | done                  |                                                                                           |                                         | resumed
        2s | halt   |     |       |            | agent:desk    | done                  |                                                                                           |                                         | halted
        2s | call   | a   | desk  | crm.note   | {}            | deny                  | halted (agent:desk, since 2026-11-21T12:00:02.000Z by ann: smoke)                         | calls 0+1                               | call_decided c4 deny
        2s | call   | b   | other | crm.note   | {}            | allow                 | by other.may                                                                              | calls 0+1 writes 0+1                    | call_decided c5 allow
        2s | resume |     |       |            | agent:desk    | done                  |                                                                                           |                                         | resumed
        3s | halt   |     |       |            | server:crm    | done                  |                                                                                           |                                         | halted
        3s | call   | a   | desk  | crm.note   | {}            | deny                  | halted (server:crm, since 2026-11-21T12:00:03.000Z by ann: smoke)                         | calls 0+1                               | call_decided c6 deny
        3s | call   | a   | desk  | pay.refund | {"cents":1}   | allow                 | by desk.may                                                                               | calls 0+2 writes 0+1 final 0+1 usd 0+10 | call_decided c7 allow
        3s | resume |     |       |            | server:crm    | done                  |                                                                                           |                                         | resumed
        4s | halt   |     |       |            | tool:crm.note | done                  |                                                                                           |                                         | halted
        4s | call   | a   | desk  | crm.note   | {}            | deny                  | halted (tool:crm.note, since 2026-11-21T12:00:04.000Z by ann: smoke)                      | calls 0+2 writes 0+1 final 0+1 usd 0+10 | call_decided c8 deny
        4s | call   | a   | desk  | crm.lookup | {"id":"7"}    | allow                 | by desk.may                                                                               | calls 0+3 writes 0+1 final 0+1 usd 0+10 | call_decided c9 allow
        4s | resume |     |       |            | tool:crm.note | done                  |                                                                                           |                                         | resumed
        5s | halt   | a   |       |            | run:own       | done                  |                                                                                           | calls 0+3 writes 0+1 final 0+1 usd 0+10 | halted
        5s | call   | a   | desk  | crm.note   | {}            | deny                  | halted (run:run_00000000000000000000000001, since 2026-11-21T12:00:05.000Z by ann: smoke) | calls 0+3 writes 0+1 final 0+1 usd 0+10 | call_decided c10 deny
        5s | call   | b   | other | crm.note   | {}            | allow                 | by other.may                                                                              | calls 0+2 writes 0+2                    | call_decided c11 allow
        5s | resume | a   |       |            | run:own       | done                  |                                                                                           | calls 0+3 writes 0+1 final 0+1 usd 0+10 | resumed
        6s | halt   |     |       |            | all           | done                  |                                                                                           |                                         | halted
        6s | call   | a   | desk  | crm.lookup | {"id":"7"}    | deny                  | halted (all, since 2026-11-21T12:00:06.000Z by ann: smoke)                                | calls 0+3 writes 0+1 final 0+1 usd 0+10 | call_decided c12 deny
        6s | resume |     |       |            | writes        | refused               | halt_unknown (`writes`)                                                                   |                                         |
        6s | call   | a   | desk  | crm.lookup | {"id":"7"}    | deny                  | halted (all, since 2026-11-21T12:00:06.000Z by ann: smoke)                                | calls 0+3 writes 0+1 final 0+1 usd 0+10 | call_decided c13 deny
        6s | resume |     |       |            | all           | done                  |                                                                                           |                                         | resumed
        6s | call   | a   | desk  | crm.lookup | {"id":"7"}    | allow                 | by desk.may                                                                               | calls 0+4 writes 0+1 final 0+1 usd 0+10 | call_decided c14 allow
        "#]],
    );
}

#[test]
fn halts_of_effects_tenants_and_environments() {
    let mut book = book(vec![desk(), Manifest { tenant: "acme".into(), ..anything("other") }]);
    book.tools.get_mut("crm.note").unwrap().env = "dev".into();
    book.agents.get_mut("desk").unwrap().crosses = vec!["dev".into()];
    let table = r#"
        at | do     | run | agent | tool       | args
        0s | open   | a   | desk  |            |
        0s | open   | b   | other |            |
        1s | halt   |     |       |            | irreversible
        1s | call   | a   | desk  | pay.refund | {"cents":1}
        1s | call   | a   | desk  | crm.note   | {}
        1s | call   | a   | desk  | crm.erase  | {}
        1s | resume |     |       |            | irreversible
        2s | halt   |     |       |            | tenant:acme
        2s | call   | a   | desk  | crm.lookup | {"id":"7"}
        2s | call   | b   | other | crm.lookup | {"id":"7"}
        2s | open   | c   | other |            |
        2s | resume |     |       |            | tenant:acme
        3s | halt   |     |       |            | all in dev
        3s | call   | a   | desk  | crm.note   | {"text":"x"}
        3s | call   | a   | desk  | crm.lookup | {"id":"8"}
        3s | open   | d   | desk  |            |
        3s | resume |     |       |            | all in dev
        4s | halt   |     |       |            | agent:desk in prod
        4s | call   | a   | desk  | crm.note   | {"text":"y"}
        4s | call   | a   | desk  | crm.lookup | {"id":"9"}
    "#;
    check(
        book,
        table,
        expect![[r#"
        at | do     | run | agent | tool       | args               | answer                | code                                                                      | account              | event
        0s | open   | a   | desk  |            |                    | a open until 13:00:00 |                                                                           |                      | run_opened
        0s | open   | b   | other |            |                    | b open until 13:00:00 |                                                                           |                      | run_opened
        1s | halt   |     |       |            | irreversible       | done                  |                                                                           |                      | halted
        1s | call   | a   | desk  | pay.refund | {"cents":1}        | deny                  | halted (irreversible, since 2026-11-21T12:00:01.000Z by ann: smoke)       |                      | call_decided c1 deny
        1s | call   | a   | desk  | crm.note   | {}                 | allow                 | by desk.may                                                               | calls 0+1 writes 0+1 | call_decided c2 allow
        1s | call   | a   | desk  | crm.erase  | {}                 | deny                  | halted (irreversible, since 2026-11-21T12:00:01.000Z by ann: smoke)       | calls 0+1 writes 0+1 | call_decided c3 deny
        1s | resume |     |       |            | irreversible       | done                  |                                                                           |                      | resumed
        2s | halt   |     |       |            | tenant:acme        | done                  |                                                                           |                      | halted
        2s | call   | a   | desk  | crm.lookup | {"id":"7"}         | allow                 | by desk.may                                                               | calls 0+2 writes 0+1 | call_decided c4 allow
        2s | call   | b   | other | crm.lookup | {"id":"7"}         | deny                  | halted (tenant:acme, since 2026-11-21T12:00:02.000Z by ann: smoke)        |                      | call_decided c5 deny
        2s | open   | c   | other |            |                    | refused               | halted (tenant:acme, since 2026-11-21T12:00:02.000Z by ann: smoke)        |                      |
        2s | resume |     |       |            | tenant:acme        | done                  |                                                                           |                      | resumed
        3s | halt   |     |       |            | all in dev         | done                  |                                                                           |                      | halted
        3s | call   | a   | desk  | crm.note   | {"text":"x"}       | deny                  | halted (all in dev, since 2026-11-21T12:00:03.000Z by ann: smoke)         | calls 0+2 writes 0+1 | call_decided c6 deny
        3s | call   | a   | desk  | crm.lookup | {"id":"8"}         | allow                 | by desk.may                                                               | calls 0+3 writes 0+1 | call_decided c7 allow
        3s | open   | d   | desk  |            |                    | d open until 13:00:03 |                                                                           |                      | run_opened
        3s | resume |     |       |            | all in dev         | done                  |                                                                           |                      | resumed
        4s | halt   |     |       |            | agent:desk in prod | done                  |                                                                           |                      | halted
        4s | call   | a   | desk  | crm.note   | {"text":"y"}       | allow                 | by desk.may                                                               | calls 0+4 writes 0+2 | call_decided c8 allow
        4s | call   | a   | desk  | crm.lookup | {"id":"9"}         | deny                  | halted (agent:desk in prod, since 2026-11-21T12:00:04.000Z by ann: smoke) | calls 0+4 writes 0+2 | call_decided c9 deny
    "#]],
    );
}

#[test]
fn a_freeze_lets_reads_go() {
    let table = r#"
        at | do     | run | tool       | args           | key
        0s | halt   |     |            | all            | reads
        0s | open   | a   |            |                |
        1s | call   | a   | crm.lookup | {"id":"7"}     |
        1s | call   | a   | crm.note   | {}             |
        1s | call   | a   | crm.erase  | {}             |
        2s | halt   |     |            | tool:crm.lookup |
        2s | call   | a   | crm.lookup | {"id":"7"}     |
        3s | resume |     |            | all            |
        3s | call   | a   | crm.lookup | {"id":"7"}     |
        3s | call   | a   | crm.note   | {}             |
    "#;
    check(
        book(vec![desk()]),
        table,
        expect![[r#"
        at | do     | run | tool       | args            | key   | answer                | code                                                                      | account              | event
        0s | halt   |     |            | all             | reads | done                  |                                                                           |                      | halted
        0s | open   | a   |            |                 |       | a open until 13:00:00 |                                                                           |                      | run_opened
        1s | call   | a   | crm.lookup | {"id":"7"}      |       | allow                 | by desk.may                                                               | calls 0+1            | call_decided c1 allow
        1s | call   | a   | crm.note   | {}              |       | deny                  | halted (all, reads allowed, since 2026-11-21T12:00:00.000Z by ann: smoke) | calls 0+1            | call_decided c2 deny
        1s | call   | a   | crm.erase  | {}              |       | deny                  | halted (all, reads allowed, since 2026-11-21T12:00:00.000Z by ann: smoke) | calls 0+1            | call_decided c3 deny
        2s | halt   |     |            | tool:crm.lookup |       | done                  |                                                                           |                      | halted
        2s | call   | a   | crm.lookup | {"id":"7"}      |       | deny                  | halted (tool:crm.lookup, since 2026-11-21T12:00:02.000Z by ann: smoke)    | calls 0+1            | call_decided c4 deny
        3s | resume |     |            | all             |       | done                  |                                                                           |                      | resumed
        3s | call   | a   | crm.lookup | {"id":"7"}      |       | deny                  | halted (tool:crm.lookup, since 2026-11-21T12:00:02.000Z by ann: smoke)    | calls 0+1            | call_decided c5 deny
        3s | call   | a   | crm.note   | {}              |       | allow                 | by desk.may                                                               | calls 0+2 writes 0+1 | call_decided c6 allow
    "#]],
    );
}

#[test]
fn a_halt_lifts_itself() {
    let table = r#"
        at  | do     | run | tool     | args | key
        0s  | open   | a   |          |      |
        1s  | halt   |     |          | all  | 10s
        10s | lift   |     |          |      |
        10s | call   | a   | crm.note | {}   |
        11s | call   | a   | crm.note | {}   |
        11s | open   | b   |          |      |
        12s | lift   |     |          |      |
        12s | lift   |     |          |      |
        12s | resume |     |          | all  |
    "#;
    check(
        book(vec![desk()]),
        table,
        expect![[r#"
        at  | do     | run | tool     | args | key | answer                | code                                                                                       | account              | event
        0s  | open   | a   |          |      |     | a open until 13:00:00 |                                                                                            |                      | run_opened
        1s  | halt   |     |          | all  | 10s | done                  |                                                                                            |                      | halted
        10s | lift   |     |          |      |     | done                  |                                                                                            |                      |
        10s | call   | a   | crm.note | {}   |     | deny                  | halted (all, since 2026-11-21T12:00:01.000Z, until 2026-11-21T12:00:11.000Z by ann: smoke) |                      | call_decided c1 deny
        11s | call   | a   | crm.note | {}   |     | allow                 | by desk.may                                                                                | calls 0+1 writes 0+1 | call_decided c2 allow
        11s | open   | b   |          |      |     | b open until 13:00:11 |                                                                                            |                      | run_opened
        12s | lift   |     |          |      |     | done                  |                                                                                            |                      | resumed
        12s | lift   |     |          |      |     | done                  |                                                                                            |                      |
        12s | resume |     |          | all  |     | refused               | halt_unknown (`all`)                                                                       |                      |
    "#]],
    );
}

#[test]
fn a_halt_names_what_there_is() {
    let table = r#"
        at | do     | args                | key
        0s | halt   | agent:dask          |
        0s | halt   | tool:crm.lokup      |
        0s | halt   | server:crn          |
        0s | halt   | tenant:defualt      |
        0s | halt   | writes in prd       |
        0s | halt   | agent:somebody-else |
        0s | halt   | agent:somebody-else | force
        0s | resume | agent:sombody-else  |
        0s | resume | all                 |
        0s | resume | agent:somebody-else |
    "#;
    check(
        book(vec![desk()]),
        table,
        expect![[r#"
        at | do     | args                | key   | answer  | code                                                                     | account | event
        0s | halt   | agent:dask          |       | refused | scope_unknown (agent `dask`; did you mean `desk`?)                       |         |
        0s | halt   | tool:crm.lokup      |       | refused | scope_unknown (tool `crm.lokup`; did you mean `crm.lookup`?)             |         |
        0s | halt   | server:crn          |       | refused | scope_unknown (server `crn`; did you mean `crm`?)                        |         |
        0s | halt   | tenant:defualt      |       | refused | scope_unknown (tenant `defualt`; did you mean `default`?)                |         |
        0s | halt   | writes in prd       |       | refused | scope_unknown (environment `prd`; did you mean `prod`?)                  |         |
        0s | halt   | agent:somebody-else |       | refused | scope_unknown (agent `somebody-else`)                                    |         |
        0s | halt   | agent:somebody-else | force | done    |                                                                          |         | halted
        0s | resume | agent:sombody-else  |       | refused | halt_unknown (`agent:sombody-else`; did you mean `agent:somebody-else`?) |         |
        0s | resume | all                 |       | refused | halt_unknown (`all`)                                                     |         |
        0s | resume | agent:somebody-else |       | done    |                                                                          |         | resumed
    "#]],
    );
}

#[test]
fn a_halt_of_a_run_holds_what_descends_from_it() {
    let table = r#"
        at | do     | run | under | tool     | args
        0s | open   | a   |        |          |
        0s | open   | b   | a      |          |
        0s | open   | c   | b      |          |
        1s | halt   | b   |        |          | run:own
        1s | call   | a   |        | crm.note | {}
        1s | call   | b   |        | crm.note | {}
        1s | call   | c   |        | crm.note | {}
        1s | open   | d   | c      |          |
        1s | open   | e   | a      |          |
        1s | call   | e   |        | crm.note | {}
    "#;
    check(
        book(vec![desk()]),
        table,
        expect![[r#"
        at | do   | run | under | tool     | args    | answer                | code                                                                                      | account              | event
        0s | open | a   |       |          |         | a open until 13:00:00 |                                                                                           |                      | run_opened
        0s | open | b   | a     |          |         | b open until 13:00:00 |                                                                                           |                      | run_opened
        0s | open | c   | b     |          |         | c open until 13:00:00 |                                                                                           |                      | run_opened
        1s | halt | b   |       |          | run:own | done                  |                                                                                           |                      | halted
        1s | call | a   |       | crm.note | {}      | allow                 | by desk.may                                                                               | calls 0+1 writes 0+1 | call_decided c1 allow
        1s | call | b   |       | crm.note | {}      | deny                  | halted (run:run_00000000000000000008000001, since 2026-11-21T12:00:01.000Z by ann: smoke) |                      | call_decided c2 deny
        1s | call | c   |       | crm.note | {}      | deny                  | halted (run:run_00000000000000000008000001, since 2026-11-21T12:00:01.000Z by ann: smoke) |                      | call_decided c3 deny
        1s | open | d   | c     |          |         | refused               | halted (run:run_00000000000000000008000001, since 2026-11-21T12:00:01.000Z by ann: smoke) |                      |
        1s | open | e   | a     |          |         | e open until 13:00:00 |                                                                                           |                      | run_opened
        1s | call | e   |       | crm.note | {}      | allow                 | by desk.may                                                                               | calls 0+1 writes 0+1 | call_decided c4 allow
        "#]],
    );
}

#[test]
fn no_run_opens_under_a_halt() {
    let table = "
        at | do   | run | args
        0s | halt |     | agent:desk
        0s | open | a   |
        1s | resume |   | agent:desk
        1s | halt |     | all
        1s | open | a   |
        2s | resume |   | all
        2s | halt |     | writes
        2s | open | a   |
    ";
    check(
        book(vec![desk()]),
        table,
        expect![[r#"
        at | do     | run | args       | answer                | code                                                              | account | event
        0s | halt   |     | agent:desk | done                  |                                                                   |         | halted
        0s | open   | a   |            | refused               | halted (agent:desk, since 2026-11-21T12:00:00.000Z by ann: smoke) |         |
        1s | resume |     | agent:desk | done                  |                                                                   |         | resumed
        1s | halt   |     | all        | done                  |                                                                   |         | halted
        1s | open   | a   |            | refused               | halted (all, since 2026-11-21T12:00:01.000Z by ann: smoke)        |         |
        2s | resume |     | all        | done                  |                                                                   |         | resumed
        2s | halt   |     | writes     | done                  |                                                                   |         | halted
        2s | open   | a   |            | a open until 13:00:02 |                                                                   |         | run_opened
        "#]],
    );
}

#[test]
fn keys_come_and_go() {
    let table = "
        at | do
        0s | revoke
        0s | mint
        1s | revoke
        2s | revoke
    ";
    check(
        book(vec![desk()]),
        table,
        expect![[r#"
        at | do     | answer  | code                                         | account | event
        0s | revoke | refused | key_unknown (key_00000000000000000000000007) |         |
        0s | mint   | done    |                                              |         | key_minted
        1s | revoke | done    |                                              |         | key_revoked
        2s | revoke | refused | key_unknown (key_00000000000000000000000007) |         |
    "#]],
    );
}

#[test]
fn a_flood_is_recorded_once() {
    let mut book = book(vec![desk()]);
    book.house.refusals_per_minute_max = 3;
    let table = r#"
        at   | do      | run | tool       | args
        0s   | open    | a   |            |
        1s   | call    | a   | crm.erase  | {}
        2s   | refused | a   |            | body_malformed
        3s   | call    | a   | crm.erase  | {}
        4s   | call    | a   | crm.erase  | {}
        5s   | refused | a   |            | body_malformed
        6s   | call    | a   | crm.lookup | {"id":"7"}
        7s   | count   | a   |            | 2
        8s   | refused | b   |            | run_token_refused
        59s  | call    | a   | crm.erase  | {}
        60s  | call    | a   | crm.erase  | {}
        61s  | call    | a   | crm.erase  | {}
        62s  | call    | a   | crm.erase  | {}
        63s  | call    | a   | crm.erase  | {}
        64s  | call    | z   | crm.erase  | {}
        65s  | call    | y   | crm.erase  | {}
        66s  | refused |     |            | key_refused
        67s  | call    | x   | crm.erase  | {}
        67s  | refused |     |            | key_refused
        68s  | call    | a   | crm.lookup | {"id":"7"}
        69s  | count   | w   |            | 2
    "#;
    check(
        book,
        table,
        expect![[r#"
        at  | do      | run | tool       | args              | answer                | code                     | account   | event
        0s  | open    | a   |            |                   | a open until 13:00:00 |                          |           | run_opened
        1s  | call    | a   | crm.erase  | {}                | deny                  | tool_unknown (crm.erase) |           | call_decided c1 deny
        2s  | refused | a   |            | body_malformed    | done                  |                          |           | request_refused body_malformed in run
        3s  | call    | a   | crm.erase  | {}                | deny                  | tool_unknown (crm.erase) |           | call_decided c2 deny
        4s  | call    | a   | crm.erase  | {}                | deny                  | tool_unknown (crm.erase) |           |
        5s  | refused | a   |            | body_malformed    | done                  |                          |           |
        6s  | call    | a   | crm.lookup | {"id":"7"}        | allow                 | by desk.may              | calls 0+1 | call_decided c4 allow
        7s  | count   | a   |            | 2                 | done                  |                          | calls 0+1 | refusals_counted 1; refusals_counted 2 in run
        8s  | refused | b   |            | run_token_refused | done                  |                          |           | request_refused run_token_refused
        59s | call    | a   | crm.erase  | {}                | deny                  | tool_unknown (crm.erase) | calls 0+1 |
        60s | call    | a   | crm.erase  | {}                | deny                  | tool_unknown (crm.erase) | calls 0+1 | call_decided c6 deny
        61s | call    | a   | crm.erase  | {}                | deny                  | tool_unknown (crm.erase) | calls 0+1 | call_decided c7 deny
        62s | call    | a   | crm.erase  | {}                | deny                  | tool_unknown (crm.erase) | calls 0+1 | call_decided c8 deny
        63s | call    | a   | crm.erase  | {}                | deny                  | tool_unknown (crm.erase) | calls 0+1 |
        64s | call    | z   | crm.erase  | {}                | deny                  | run_unknown              |           | call_decided c10 deny
        65s | call    | y   | crm.erase  | {}                | deny                  | run_unknown              |           | call_decided c11 deny
        66s | refused |     |            | key_refused       | done                  |                          |           |
        67s | call    | x   | crm.erase  | {}                | deny                  | run_unknown              |           |
        67s | refused |     |            | key_refused       | done                  |                          |           |
        68s | call    | a   | crm.lookup | {"id":"7"}        | allow                 | by desk.may              | calls 0+2 | call_decided c13 allow
        69s | count   | w   |            | 2                 | done                  |                          |           | refusals_counted 3
        "#]],
    );
}

#[test]
fn the_61st_refusal_in_a_minute_yields_no_event() {
    use std::sync::Arc;

    use kernel::call::Carrier;
    use kernel::command::{Answer, Command, OpenRun};
    use kernel::id::{CallId, RunId};

    use crate::script::{START, Stage, call};

    let mut stage = Stage::new(book(vec![desk()]));
    let run = RunId(1);
    stage.lane(
        START,
        &Command::OpenRun(OpenRun {
            run,
            agent: "desk".into(),
            person: None,
            intent: None,
            implicit: None,
            parent: None,
            budget: None,
            credential: None,
        }),
    );
    let mut refuse = |n: u128| {
        let call = call(CallId(n), run, "desk", "crm.erase", "", None, Carrier::Gate);
        let decision = stage.lane(START.plus_ms(1_000), &Command::Propose(Arc::new(call)));
        assert!(matches!(decision.answer, Answer::Verdict(verdict) if !verdict.allows()));
        decision.events.len()
    };
    assert!((1..=60).all(|n| refuse(n) == 1));
    assert_eq!(refuse(61), 0);
}
