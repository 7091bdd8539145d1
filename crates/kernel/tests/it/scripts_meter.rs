//! Scripts: tokens by their kind, what a result tells that it took, and what a failure costs.

use expect_test::expect;
use kernel::book::Book;
use kernel::contract::Effect;
use kernel::price::{Count, Failed, Told};
use serde_json::json;

use crate::book::{book, contract, desk};
use crate::script::check;

pub(crate) const ALL: &[fn()] = &[
    tokens_of_each_kind_have_limits_of_their_own,
    where_no_kind_is_named_it_may_be_any,
    what_failed_for_certain_gives_back_money_and_counts,
    a_message_corrects_an_outcome_once,
];

/// `llm.ask` names its kinds and where its answer tells them; `llm.old` names a sum alone.
fn world() -> Book {
    let mut agent = desk();
    agent.per_run.tokens = Some(500);
    agent.per_run.tokens_in = Some(150);
    agent.per_run.tokens_out = Some(60);
    agent.per_run.counted = [("refunded_cents".to_owned(), 100)].into();
    let mut book = book(vec![agent]);
    let mut ask = contract("llm.ask", Effect::Read, json!({ "type": "object" }));
    ask.meter.tokens_in = 100;
    ask.meter.tokens_out = 50;
    ask.meter.tokens_cached = 30;
    let path = |name: &str| Some(vec!["usage".to_owned(), name.to_owned()]);
    ask.meter.told =
        Told { tokens_in: path("in"), tokens_out: path("out"), tokens_cached: path("cached"), tokens: None };
    let mut old = contract("llm.old", Effect::Read, json!({ "type": "object" }));
    old.cost_tokens = 40;
    for tool in [ask, old] {
        book.tools.insert(tool.name.clone(), tool);
    }
    let refund = book.tools.get_mut("pay.refund").unwrap();
    refund.counts = vec![Count { name: "refunded_cents".into(), path: vec!["cents".into()] }];
    book
}

#[test]
fn tokens_of_each_kind_have_limits_of_their_own() {
    let table = r#"
        at | do      | run | tool    | args                                                 | call | key
        0s | open    | a   |         |                                                      |      |
        1s | call    | a   | llm.ask | {"n":1}                                              |      |
        1s | call    | a   | llm.ask | {"n":2}                                              |      |
        2s | settle  | a   |         | succeeded says {"usage":{"in":20,"out":5,"cached":9}} | c1   |
        2s | call    | a   | llm.ask | {"n":2}                                              |      |
        3s | settle  | a   |         | succeeded says {"usage":{"in":900,"out":1}}           | c3   |
        3s | call    | a   | llm.ask | {"n":3}                                              |      |
        3s | charge  | a   |         | "tokens_in": 20, "tokens_out": 3                       |      |
        4s | settle  | a   |         | succeeded says {"usage":{"in":20}}                    | c4   |
    "#;
    check(
        world(),
        table,
        expect![[r#"
        at | do     | run | tool    | args                                                  | call | key | answer                | code                                | account                                                                     | event
        0s | open   | a   |         |                                                       |      |     | a open until 13:00:00 |                                     |                                                                             | run_opened
        1s | call   | a   | llm.ask | {"n":1}                                               |      |     | allow                 | by desk.may                         | calls 0+1 tokens 0+180 tokens in 0+100 tokens out 0+50 cached tokens 0+30   | call_decided c1 allow; threshold_crossed 75 decide
        1s | call   | a   | llm.ask | {"n":2}                                               |      |     | deny                  | budget_exceeded (tokens in) max 150 | calls 0+1 tokens 0+180 tokens in 0+100 tokens out 0+50 cached tokens 0+30   | call_decided c2 deny
        2s | settle | a   |         | succeeded says {"usage":{"in":20,"out":5,"cached":9}} | c1   |     | done                  |                                     | calls 1+0 tokens 34+0 tokens in 20+0 tokens out 5+0 cached tokens 9+0       | call_finished c1 succeeded by gate
        2s | call   | a   | llm.ask | {"n":2}                                               |      |     | allow                 | by desk.may                         | calls 1+1 tokens 34+180 tokens in 20+100 tokens out 5+50 cached tokens 9+30 | call_decided c3 allow; threshold_crossed 90 notify
        3s | settle | a   |         | succeeded says {"usage":{"in":900,"out":1}}           | c3   |     | done                  |                                     | calls 2+0 tokens 214+0 tokens in 120+0 tokens out 6+0 cached tokens 9+0     | call_finished c3 succeeded by gate
        3s | call   | a   | llm.ask | {"n":3}                                               |      |     | deny                  | budget_exceeded (tokens in) max 150 | calls 2+0 tokens 214+0 tokens in 120+0 tokens out 6+0 cached tokens 9+0     | call_decided c4 deny
        3s | charge | a   |         | "tokens_in": 20, "tokens_out": 3                      |      |     | done                  |                                     | calls 2+0 tokens 237+0 tokens in 140+0 tokens out 9+0 cached tokens 9+0     | charged
        4s | settle | a   |         | succeeded says {"usage":{"in":20}}                    | c4   |     | refused               | call_unknown                        | calls 2+0 tokens 237+0 tokens in 140+0 tokens out 9+0 cached tokens 9+0     |
        "#]],
    );
}

#[test]
fn where_no_kind_is_named_it_may_be_any() {
    let table = r#"
        at | do      | run | tool    | args
        0s | open    | a   |         |
        1s | call    | a   | llm.old | {"n":1}
        1s | call    | a   | llm.old | {"n":2}
    "#;
    check(
        world(),
        table,
        expect![[r#"
        at | do   | run | tool    | args    | answer                | code                                | account                                              | event
        0s | open | a   |         |         | a open until 13:00:00 |                                     |                                                      | run_opened
        1s | call | a   | llm.old | {"n":1} | allow                 | by desk.may                         | calls 0+1 tokens 0+40 tokens in 0+40 tokens out 0+40 | call_decided c1 allow; threshold_crossed 50 degrade
        1s | call | a   | llm.old | {"n":2} | deny                  | budget_exceeded (tokens out) max 60 | calls 0+1 tokens 0+40 tokens in 0+40 tokens out 0+40 | call_decided c2 deny
        "#]],
    );
}

#[test]
fn what_failed_for_certain_gives_back_money_and_counts() {
    let mut world = world();
    let mut fee = world.tools["pay.refund"].clone();
    (fee.name, fee.tool) = ("pay.partly".to_owned(), "partly".to_owned());
    fee.meter.failed = Failed { counts: true, tokens: 0, usd_nanos: 3 };
    world.tools.insert(fee.name.clone(), fee);
    world.agents.get_mut("desk").unwrap().executor = true;
    let table = r#"
        at | do     | run | tool       | args         | call
        0s | open   | a   |            |              |
        1s | call   | a   | pay.refund | {"cents":90} |
        1s | call   | a   | pay.refund | {"cents":20} |
        2s | settle | a   |            | failed       | c1
        2s | call   | a   | pay.refund | {"cents":20} |
        2s | settle | a   |            | unknown      | c3
        3s | call   | a   | pay.partly | {"cents":30} |
        3s | settle | a   |            | failed       | c4
        3s | call   | a   | pay.partly | {"cents":51} |
        3s | permit | a   | pay.refund | {"cents":40} |
        4s | report | a   |            | failed       | c6
        4s | call   | a   | pay.refund | {"cents":11} |
        4s | call   | a   | pay.refund | {"cents":10} |
    "#;
    check(
        world,
        table,
        expect![[r#"
        at | do     | run | tool       | args         | call | answer                | code                                     | account                                  | event
        0s | open   | a   |            |              |      | a open until 13:00:00 |                                          |                                          | run_opened
        1s | call   | a   | pay.refund | {"cents":90} |      | allow                 | by desk.may                              | calls 0+1 writes 0+1 final 0+1 usd 0+10  | call_decided c1 allow; threshold_crossed 90 notify
        1s | call   | a   | pay.refund | {"cents":20} |      | deny                  | budget_exceeded (refunded_cents) max 100 | calls 0+1 writes 0+1 final 0+1 usd 0+10  | call_decided c2 deny
        2s | settle | a   |            | failed       | c1   | done                  |                                          | calls 1+0 writes 1+0 final 1+0           | call_finished c1 failed by gate
        2s | call   | a   | pay.refund | {"cents":20} |      | allow                 | by desk.may                              | calls 1+1 writes 1+1 final 1+1 usd 0+10  | call_decided c3 allow
        2s | settle | a   |            | unknown      | c3   | done                  |                                          | calls 1+1 writes 1+1 final 1+1 usd 0+10  | call_finished c3 unknown by gate
        3s | call   | a   | pay.partly | {"cents":30} |      | allow                 | by desk.may                              | calls 1+2 writes 1+2 final 1+2 usd 0+20  | call_decided c4 allow
        3s | settle | a   |            | failed       | c4   | done                  |                                          | calls 2+1 writes 2+1 final 2+1 usd 3+10  | call_finished c4 failed by gate
        3s | call   | a   | pay.partly | {"cents":51} |      | deny                  | budget_exceeded (refunded_cents) max 100 | calls 2+1 writes 2+1 final 2+1 usd 3+10  | call_decided c5 deny
        3s | permit | a   | pay.refund | {"cents":40} |      | allow                 | by desk.may                              | calls 2+2 writes 2+2 final 2+2 usd 3+20  | call_decided c6 allow until 12:01:33
        4s | report | a   |            | failed       | c6   | done                  |                                          | calls 3+1 writes 3+1 final 3+1 usd 13+10 | call_finished c6 failed by executor
        4s | call   | a   | pay.refund | {"cents":11} |      | deny                  | budget_exceeded (refunded_cents) max 100 | calls 3+1 writes 3+1 final 3+1 usd 13+10 | call_decided c7 deny
        4s | call   | a   | pay.refund | {"cents":10} |      | allow                 | by desk.may                              | calls 3+2 writes 3+2 final 3+2 usd 13+20 | call_decided c8 allow; threshold_crossed 100 stop
        "#]],
    );
}

#[test]
fn a_message_corrects_an_outcome_once() {
    let table = r#"
        at  | do      | run | key
        0s  | open    | a   |
        1s  | correct | a   | m1
        1s  | close   | a   |
        2s  | correct | a   | m1
        2s  | correct | a   | m1
        3s  | correct | a   |
        3s  | correct | a   |
        3s  | correct | a   | m2
        20m | correct | a   | m3
        20m | correct | a   | m1
    "#;
    check(
        world(),
        table,
        expect![[r#"
        at  | do      | run | key | answer                | code              | account | event
        0s  | open    | a   |     | a open until 13:00:00 |                   |         | run_opened
        1s  | correct | a   | m1  | refused               | run_open          |         |
        1s  | close   | a   |     | done                  |                   |         | run_closed success by ann
        2s  | correct | a   | m1  | done                  |                   |         | run_corrected
        2s  | correct | a   | m1  | refused               | delivery_repeated |         |
        3s  | correct | a   |     | done                  |                   |         | run_corrected
        3s  | correct | a   |     | done                  |                   |         | run_corrected
        3s  | correct | a   | m2  | done                  |                   |         | run_corrected
        20m | correct | a   | m3  | done                  |                   |         | run_corrected
        20m | correct | a   | m1  | done                  |                   |         | run_corrected
        "#]],
    );
}
