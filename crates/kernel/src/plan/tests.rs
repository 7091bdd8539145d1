//! Plans are read strictly, and what is wrong is said with its place.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use serde_json::{Value, json};

use super::{ordered, parse};

fn refused(plan: &Value) -> String {
    let reason = parse(plan).unwrap_err();
    format!("{} {}", reason.at.unwrap(), reason.detail.unwrap())
}

#[test]
fn references_wait_for_what_they_use() {
    let plan = json!({ "steps": [
        { "id": "c", "tool": "t", "args": { "x": ["$steps.a.result.id", "$steps.a.result"] }, "after": ["b", "a"] },
        { "id": "a", "tool": "t" },
        { "id": "b", "tool": "t", "args": {}, "reason": "r", "effect": "e",
          "expect": { "tool": "t", "args": { "y": "{args.x}" }, "that": "result.n == 1" } },
    ] });
    let read = parse(&plan).unwrap();
    let after: Vec<&[u16]> = read.steps.iter().map(|step| step.after.as_slice()).collect();
    assert_eq!(after, [&[1, 2][..], &[], &[]]);
    assert_eq!(ordered(&after, &|_| false).unwrap(), [1, 2, 0]);
    assert_eq!(ordered(&after, &|place| place == 1).unwrap(), [2, 1, 0]);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let step = |rest: Value| {
        let mut step = json!({ "id": "a", "tool": "t" });
        step.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        json!({ "steps": [step] })
    };
    let rows = [
        (json!([]), " an object is expected"),
        (json!({ "steps": [], "more": 1 }), " there is a member that is not known; known are: steps"),
        (json!({ "steps": [] }), "/steps between 1 and 50 steps are expected"),
        (json!({ "steps": [7] }), "/steps/0 an object is expected"),
        (step(json!({ "id": "a.b" })), "/steps/0/id at most 32 letters, digits, `-` and `_` are expected"),
        (step(json!({ "tool": 7 })), "/steps/0/tool text is expected"),
        (step(json!({ "args": [] })), "/steps/0/args an object is expected"),
        (step(json!({ "after": ["z"] })), "/steps/0/after/0 no step of this plan has that id"),
        (step(json!({ "after": ["a"] })), "/steps/0/after/0 a step cannot wait for itself"),
        (
            step(json!({ "args": { "x": "$steps.z.result.id" } })),
            "/steps/0/args/x no step of this plan has that id",
        ),
        (
            json!({ "steps": [{ "id": "a", "tool": "t" }, { "id": "a", "tool": "t" }] }),
            "/steps/1/id another step has this id",
        ),
        (
            json!({ "steps": [{ "id": "a", "tool": "t", "after": ["b"] },
                { "id": "b", "tool": "t", "args": { "x": "$steps.a.result" } }] }),
            "/steps/0/after it waits for itself, in a circle",
        ),
        (
            step(json!({ "expect": { "tool": "t", "args": { "x": "{before.x}" }, "that": "args.n == 1" } })),
            "/steps/0/expect/args there is no `before.x` here; a template begins with `args` or `deed`",
        ),
    ];
    for (plan, wanted) in rows {
        assert_eq!(refused(&plan), wanted);
    }
    let many: Vec<Value> = (0..51).map(|n| json!({ "id": n.to_string(), "tool": "t" })).collect();
    assert_eq!(refused(&json!({ "steps": many })), "/steps between 1 and 50 steps are expected");
    assert!(
        refused(&step(json!({ "expect": { "tool": "t", "that": "no" } })))
            .starts_with("/steps/0/expect/that")
    );
}
