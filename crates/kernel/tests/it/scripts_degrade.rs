//! Scripts: what an Allow is bound to once an account has come to its gate `degrade`.

use expect_test::expect;
use kernel::agent::Mode;
use kernel::book::Book;
use kernel::contract::Effect;
use kernel::obligation::{Cap, Degrade};
use serde_json::json;

use crate::book::{book, contract, desk, when};
use crate::script::check;

pub(crate) const ALL: &[fn()] = &[
    from_the_gate_on_pages_are_smaller,
    a_cheaper_tool_is_called_in_its_place_if_it_may_be,
    an_executor_says_what_it_heeds,
    what_is_only_observed_is_left_as_it_is,
];

/// `crm.list` gives pages of at most 5, `web.deep` is `web.quick`, once half of the calls are made.
fn world() -> Book {
    let mut agent = desk();
    agent.per_run.calls = Some(4);
    agent.executor = true;
    let mut book = book(vec![agent]);
    let page = json!({
        "type": "object",
        "properties": {
            "all": { "type": "boolean" },
            "page": { "type": "object", "properties": { "limit": { "type": "number" } } },
        },
        "additionalProperties": false,
    });
    let mut list = contract("crm.list", Effect::Read, page);
    let most = Cap { at: vec!["page".into(), "limit".into()], most: 5 };
    list.degrade = Degrade { caps: vec![most], ..Degrade::default() };
    let words = json!({ "type": "object", "properties": { "q": { "type": "string" } } });
    let mut deep = contract("web.deep", Effect::Read, words.clone());
    deep.degrade =
        Degrade { model: Some("small".into()), tool: Some("web.quick".into()), ..Degrade::default() };
    let mut quick = contract("web.quick", Effect::Read, words);
    quick.degrade = Degrade { model: Some("small".into()), ..Degrade::default() };
    for tool in [list, deep, quick] {
        book.tools.insert(tool.name.clone(), tool);
    }
    book
}

#[test]
fn from_the_gate_on_pages_are_smaller() {
    let mut world = world();
    world.agents.get_mut("desk").unwrap().per_run.calls = Some(12);
    let table = r#"
        at | do   | run | tool       | args
        0s | open | a   |            |
        1s | call | a   | crm.list   | {"page":{"limit":100}}
        1s | call | a   | crm.lookup | {"id":"1"}
        1s | call | a   | crm.lookup | {"id":"2"}
        1s | call | a   | crm.lookup | {"id":"3"}
        1s | call | a   | crm.lookup | {"id":"4"}
        1s | call | a   | crm.list   | {"page":{"limit":99}}
        2s | call | a   | crm.list   | {"page":{"limit":98}}
        2s | call | a   | crm.list   | {"page":{"limit":5}}
        2s | call | a   | crm.list   | {}
        2s | call | a   | crm.list   | {"page":{"limit":-1}}
        2s | call | a   | crm.list   | {"page":{"limit":"all"}}
        2s | call | a   | crm.list   | {"page":7}
    "#;
    check(
        world,
        table,
        expect![[r#"
        at | do   | run | tool       | args                     | answer                | code                                                                       | account    | event
        0s | open | a   |            |                          | a open until 13:00:00 |                                                                            |            | run_opened
        1s | call | a   | crm.list   | {"page":{"limit":100}}   | allow                 | by desk.may                                                                | calls 0+1  | call_decided c1 allow
        1s | call | a   | crm.lookup | {"id":"1"}               | allow                 | by desk.may                                                                | calls 0+2  | call_decided c2 allow
        1s | call | a   | crm.lookup | {"id":"2"}               | allow                 | by desk.may                                                                | calls 0+3  | call_decided c3 allow
        1s | call | a   | crm.lookup | {"id":"3"}               | allow                 | by desk.may                                                                | calls 0+4  | call_decided c4 allow
        1s | call | a   | crm.lookup | {"id":"4"}               | allow                 | by desk.may                                                                | calls 0+5  | call_decided c5 allow
        1s | call | a   | crm.list   | {"page":{"limit":99}}    | allow                 | by desk.may                                                                | calls 0+6  | call_decided c6 allow; threshold_crossed 50 degrade
        2s | call | a   | crm.list   | {"page":{"limit":98}}    | allow                 | by desk.may; {"cap":{"at":["page","limit"],"most":5}}; at 50 % of 12 calls | calls 0+7  | call_decided c7 allow
        2s | call | a   | crm.list   | {"page":{"limit":5}}     | allow                 | by desk.may                                                                | calls 0+8  | call_decided c8 allow
        2s | call | a   | crm.list   | {}                       | allow                 | by desk.may; {"cap":{"at":["page","limit"],"most":5}}; at 66 % of 12 calls | calls 0+9  | call_decided c9 allow; threshold_crossed 75 decide
        2s | call | a   | crm.list   | {"page":{"limit":-1}}    | allow                 | by desk.may; {"cap":{"at":["page","limit"],"most":5}}; at 75 % of 12 calls | calls 0+10 | call_decided c10 allow
        2s | call | a   | crm.list   | {"page":{"limit":"all"}} | deny                  | schema_mismatch at /page/limit (the value is not of type "number")         | calls 0+10 | call_decided c11 deny
        2s | call | a   | crm.list   | {"page":7}               | deny                  | schema_mismatch at /page (the value is not of type "object")               | calls 0+10 | call_decided c12 deny
        "#]],
    );
}

#[test]
fn a_cheaper_tool_is_called_in_its_place_if_it_may_be() {
    let mut picky = desk();
    picky.agent = "picky".into();
    picky.per_run.calls = Some(4);
    picky.may = vec![
        when("picky.may[0]", "web.deep", "args has q && args.q != \"x\""),
        when("picky.may[1]", "crm.*", "true"),
    ];
    let mut world = world();
    world.agents.insert("picky".into(), picky);
    let table = r#"
        at | do   | run | agent | tool       | args       | key
        0s | open | a   | desk  |            |            |
        1s | call | a   | desk  | web.deep   | {"q":"1"}  | k1
        1s | call | a   | desk  | crm.lookup | {"id":"1"} |
        2s | call | a   | desk  | web.deep   | {"q":"2"}  | k2
        2s | call | a   | desk  | web.deep   | {"q":"2"}  | k2
        2s | call | a   | desk  | web.deep   | {"q":"3"}  | k2
        0s | open | b   | picky |            |            |
        1s | call | b   | picky | web.deep   | {"q":"1"}  |
        1s | call | b   | picky | crm.lookup | {"id":"1"} |
        2s | call | b   | picky | web.deep   | {"q":"2"}  |
    "#;
    check(
        world,
        table,
        expect![[r#"
        at | do   | run | agent | tool       | args       | key | answer                  | code                                                                                                              | account   | event
        0s | open | a   | desk  |            |            |     | a open until 13:00:00   |                                                                                                                   |           | run_opened
        1s | call | a   | desk  | web.deep   | {"q":"1"}  | k1  | allow                   | by desk.may                                                                                                       | calls 0+1 | call_decided c1 allow
        1s | call | a   | desk  | crm.lookup | {"id":"1"} |     | allow                   | by desk.may                                                                                                       | calls 0+2 | call_decided c2 allow; threshold_crossed 50 degrade
        2s | call | a   | desk  | web.deep   | {"q":"2"}  | k2  | allow                   | by desk.may; {"instead":{"of":"web.deep","tool":"web.quick"}}; {"model":{"class":"small"}}; at 50 % of 4 calls    | calls 0+3 | call_decided c3 allow; threshold_crossed 75 decide
        2s | call | a   | desk  | web.deep   | {"q":"2"}  | k2  | same as c3: allow, open | by desk.may; {"instead":{"of":"web.deep","tool":"web.quick"}}; {"model":{"class":"small"}}; at 50 % of 4 calls    | calls 0+3 |
        2s | call | a   | desk  | web.deep   | {"q":"3"}  | k2  | deny                    | idempotency_conflict                                                                                              | calls 0+3 | request_refused idempotency_conflict in run
        0s | open | b   | picky |            |            |     | b open until 13:00:02   |                                                                                                                   |           | run_opened
        1s | call | b   | picky | web.deep   | {"q":"1"}  |     | allow                   | by picky.may[0]                                                                                                   | calls 0+1 | call_decided c6 allow
        1s | call | b   | picky | crm.lookup | {"id":"1"} |     | allow                   | by picky.may[1]                                                                                                   | calls 0+2 | call_decided c7 allow; threshold_crossed 50 degrade
        2s | call | b   | picky | web.deep   | {"q":"2"}  |     | deny                    | no_rule_allows; {"instead":{"of":"web.deep","tool":"web.quick"}}; {"model":{"class":"small"}}; at 50 % of 4 calls | calls 0+2 | call_decided c8 deny
        "#]],
    );
}

#[test]
fn an_executor_says_what_it_heeds() {
    let table = r#"
        at | do     | run | tool       | args                   | heeds
        0s | open   | a   |            |                        |
        1s | permit | a   | crm.list   | {"page":{"limit":100}} |
        1s | permit | a   | crm.lookup | {"id":"1"}             |
        2s | permit | a   | crm.list   | {"page":{"limit":99}}  |
        2s | permit | a   | crm.list   | {"page":{"limit":99}}  | model
        2s | permit | a   | crm.list   | {"page":{"limit":5}}   |
        2s | permit | a   | web.deep   | {"q":"1"}              | instead
        2s | permit | a   | web.deep   | {"q":"2"}              | instead model
    "#;
    check(
        world(),
        table,
        expect![[r#"
        at | do     | run | tool       | args                   | heeds         | answer                | code                                                                                                           | account   | event
        0s | open   | a   |            |                        |               | a open until 13:00:00 |                                                                                                                |           | run_opened
        1s | permit | a   | crm.list   | {"page":{"limit":100}} |               | allow                 | by desk.may                                                                                                    | calls 0+1 | call_decided c1 allow until 12:01:31
        1s | permit | a   | crm.lookup | {"id":"1"}             |               | allow                 | by desk.may                                                                                                    | calls 0+2 | call_decided c2 allow until 12:01:31; threshold_crossed 50 degrade
        2s | permit | a   | crm.list   | {"page":{"limit":99}}  |               | deny                  | obligation_undeclared (cap)                                                                                    | calls 0+2 | call_decided c3 deny
        2s | permit | a   | crm.list   | {"page":{"limit":99}}  | model         | deny                  | obligation_undeclared (cap)                                                                                    | calls 0+2 | call_decided c4 deny
        2s | permit | a   | crm.list   | {"page":{"limit":5}}   |               | allow                 | by desk.may                                                                                                    | calls 0+3 | call_decided c5 allow until 12:01:32; threshold_crossed 75 decide
        2s | permit | a   | web.deep   | {"q":"1"}              | instead       | deny                  | obligation_undeclared (model); {"instead":{"of":"web.deep","tool":"web.quick"}}; at 75 % of 4 calls            | calls 0+3 | call_decided c6 deny
        2s | permit | a   | web.deep   | {"q":"2"}              | instead model | allow                 | by desk.may; {"instead":{"of":"web.deep","tool":"web.quick"}}; {"model":{"class":"small"}}; at 75 % of 4 calls | calls 0+4 | call_decided c7 allow until 12:01:32; threshold_crossed 100 stop
        "#]],
    );
}

#[test]
fn what_is_only_observed_is_left_as_it_is() {
    let mut world = world();
    world.agents.get_mut("desk").unwrap().mode = Mode::Observe;
    let table = r#"
        at | do   | run | tool       | args
        0s | open | a   |            |
        1s | call | a   | crm.lookup | {"id":"1"}
        1s | call | a   | crm.lookup | {"id":"2"}
        2s | call | a   | crm.list   | {"page":{"limit":98}}
    "#;
    check(
        world,
        table,
        expect![[r#"
        at | do   | run | tool       | args                  | answer                | code        | account   | event
        0s | open | a   |            |                       | a open until 13:00:00 |             |           | run_opened
        1s | call | a   | crm.lookup | {"id":"1"}            | allow                 | by desk.may | calls 0+1 | call_decided c1 allow
        1s | call | a   | crm.lookup | {"id":"2"}            | allow                 | by desk.may | calls 0+2 | call_decided c2 allow; threshold_crossed 50 degrade
        2s | call | a   | crm.list   | {"page":{"limit":98}} | allow                 | by desk.may | calls 0+3 | call_decided c3 allow; threshold_crossed 75 decide
        "#]],
    );
}
