//! Which reads are seen, and which uses are too loose to follow.

use super::*;
use cedar_policy::Policy;

fn reads(condition: &str) -> Reads {
    let policy =
        Policy::parse(None, format!("permit (principal, action, resource) when {{ {condition} }};")).unwrap();
    Reads::of(&policy.to_json().unwrap()["conditions"])
}

#[test]
fn members_are_seen_in_every_spelling() {
    for (text, keys) in [
        ("context.hour > 3", vec!["hour"]),
        ("context[\"hour\"] > 3", vec!["hour"]),
        ("context has run.phase && context.run.phase == \"x\"", vec!["run"]),
        (
            "if context.env == \"x\" then [context.hour].contains(3) else {a: context.weekday}.a > 3",
            vec!["env", "hour", "weekday"],
        ),
        ("\"context.hour\" == \"x\"", vec![]),
    ] {
        let reads = reads(text);
        assert_eq!(
            (reads.keys.iter().map(String::as_str).collect::<Vec<_>>(), reads.whole),
            (keys, false),
            "{text}"
        );
    }
}

#[test]
fn the_context_as_a_value_is_a_use_of_all_of_it() {
    for text in [
        "context == {}",
        "[context].contains({})",
        "{a: context}.a.hour > 3",
        "(if true then context else context).hour > 3",
    ] {
        assert!(reads(text).whole, "{text}");
    }
}

#[test]
fn arguments_are_seen_one_step_further() {
    let found = reads("context.args.a.b > 3 && context.args has c.d && context has args");
    assert_eq!(found.args.iter().collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(found.tested.iter().collect::<Vec<_>>(), ["c.d"]);
    assert!(found.all_args, "`context has args` needs args to be there");
}

#[test]
fn named_groups_and_lists_are_collected() {
    let found = reads("context.approvals.contains(\"g\") && context.destinations_within.contains(\"a, b\")");
    assert_eq!((found.groups.len(), found.patterns.len(), found.loose_patterns), (1, 1, false));
    assert!(reads("context.destinations_within.contains(context.env)").loose_patterns);
}
