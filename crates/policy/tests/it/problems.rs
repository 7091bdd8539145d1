//! Every complaint has a code, a place and a help.

use policy::{FreeRules, May, Options, Problem, Severity, compile};

use crate::world::{build, free, may, try_build, world};

fn errors(mays: &[May], text: &str) -> Vec<Problem> {
    let problems = try_build(mays, text).err().unwrap_or_default();
    problems.into_iter().filter(|problem| problem.severity == Severity::Error).collect()
}

fn only(problems: Vec<Problem>) -> Problem {
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems.into_iter().next().unwrap()
}

fn warnings(mays: &[May], text: &str) -> Vec<&'static str> {
    let set = build(mays, text);
    set.warnings().iter().map(|w| w.code).filter(|code| *code != "untyped-argument").collect()
}

#[test]
fn unknown_names_get_the_nearest() {
    let problem = only(errors(&[may("refund-desk", "stripe.refnd", "")], ""));
    assert_eq!((problem.code, problem.line, problem.column), ("unknown-tool", 6, 5));
    assert_eq!(problem.help.as_deref(), Some("did you mean `stripe.refund`?"));
    let problem = only(errors(&[may("refund-dest", "stripe.refund", "")], ""));
    assert_eq!(problem.code, "unknown-agent");
    assert_eq!(problem.help.as_deref(), Some("did you mean `refund-desk`?"));
}

#[test]
fn a_wrong_member_in_a_when_points_into_the_manifest() {
    let problem =
        only(errors(&[may("refund-desk", "stripe.refund", "hour > 3 && args.amount_cent <= 5")], ""));
    assert_eq!(problem.code, "unknown-attribute");
    assert_eq!((problem.file.as_str(), problem.line), ("agents/a.yaml", 7));
    assert_eq!((problem.column, problem.length), (11 + 12, "args.amount_cent".len()));
    assert!(problem.help.unwrap().contains("amount_cents"));
}

#[test]
fn a_wrong_member_on_a_later_line_points_there() {
    let problem =
        only(errors(&[may("refund-desk", "stripe.refund", "hour > 3 &&\n  args.nonsense == 5")], ""));
    assert_eq!((problem.line, problem.column, problem.length), (8, 3, "args.nonsense".len()));
}

#[test]
fn a_number_with_a_fraction_is_compared_in_words() {
    let problem = only(errors(&[may("refund-desk", "stripe.refund", "args.rate <= 1")], ""));
    assert_eq!((problem.code, problem.line), ("types", 7));
    assert!(problem.help.unwrap().contains("lessThanOrEqual(decimal("));
    build(&[may("refund-desk", "stripe.refund", "args.rate.lessThanOrEqual(decimal(\"1.0\"))")], "");
}

#[test]
fn an_optional_argument_needs_has() {
    let problem = only(errors(&[may("refund-desk", "stripe.refund", "args.note == \"x\"")], ""));
    assert_eq!((problem.code, problem.line, problem.column), ("optional-argument", 7, 11));
    assert!(problem.help.unwrap().contains("has note"));
    build(&[may("refund-desk", "stripe.refund", "args has note && args.note == \"x\"")], "");
}

#[test]
fn a_wrong_free_rule_points_into_its_file() {
    let text = "// a comment\nforbid (principal, action == Remit::Action::\"stripe.refund\", resource)\nwhen { context.args.amount == 3 };\n";
    let problem = only(errors(&[], text));
    assert_eq!((problem.file.as_str(), problem.line, problem.column), ("house.cedar", 3, 8));
    assert_eq!(problem.length, "context.args.amount".len());
    let problem =
        only(errors(&[], "forbid (principal, action, resource);\nforbid (principal action, resource);"));
    assert_eq!((problem.code, problem.line), ("syntax", 2));
    let problem =
        only(errors(&[], "forbid (principal, action == Remit::Action::\"stripe.refnd\", resource);"));
    assert_eq!((problem.code, problem.line, problem.column), ("unknown-tool", 1, 30));
}

#[test]
fn words_too_long_to_be_cited_are_refused_with_their_length() {
    let when = |chars: usize| format!("args.amount_cents <= 5{}", " ".repeat(chars)) + "&& hour > 3";
    let long = when(400 - "args.amount_cents <= 5&& hour > 3".len());
    build(&[may("refund-desk", "stripe.refund", &long)], "");
    let problem = only(errors(&[may("refund-desk", "stripe.refund", &when(400))], ""));
    assert_eq!((problem.code, problem.file.as_str(), problem.line), ("too-long", "agents/a.yaml", 6));
    assert!(problem.message.contains("433 characters") && problem.message.contains("400"), "{problem:?}");

    let forbid = |reason: &str| format!("@reason(\"{reason}\")\nforbid (principal, action, resource);");
    let problem = only(errors(&[], &forbid(&"x".repeat(401))));
    assert_eq!((problem.code, problem.file.as_str(), problem.line), ("too-long", "house.cedar", 2));
    assert!(problem.message.contains("401 characters"), "{problem:?}");
    assert!(problem.help.unwrap().contains("@reason"));
    // Few characters that are many bytes fill an event just as well.
    let problem = only(errors(&[], &forbid(&"\u{1F600}".repeat(400))));
    assert!(problem.message.contains("1536"), "{problem:?}");
}

#[test]
fn no_text_of_a_when_can_become_another_rule() {
    for hostile in [
        "true } ; permit(principal,action,resource) when { true",
        "true };\npermit(principal,action,resource);//",
        "true } unless { false",
        "true }; //",
        "\"",
        "\" } ; permit(principal,action,resource); //",
        "",
        "   ",
        "// all a comment",
        "/* */ true",
        "true; false",
        "?principal == principal",
        "@id(\"x\") true",
        "true\u{0}",
    ] {
        let mut entry = may("refund-desk", "stripe.refund", hostile);
        entry.when = Some(hostile.into());
        let found = errors(&[entry], "");
        assert!(!found.is_empty(), "{hostile:?} passed");
    }
    // A comment at the end must not swallow what follows it.
    let mut entry = may("refund-desk", "stripe.refund", "hour < 3 // } ; permit(principal,action,resource);");
    entry.ask = Some("fin\"ance} ; permit(principal,action,resource);".into());
    entry.to = vec!["a\" ) }; permit(principal,action,resource); //".into()];
    entry.id = "x\") permit(principal,action,resource); //\n".into();
    let set = build(&[entry], "");
    assert_eq!(set.rule_count(), 2);
    assert_eq!(set.cedar().parse::<cedar_policy::PolicySet>().unwrap().policies().count(), 2);
}

#[test]
fn names_stay_what_they_are_in_strings_members_and_types() {
    let text =
        r#"args has note && args.note != "args.env" && env == "prod" && !(run.labels.contains("env"))"#;
    let set = build(&[may("refund-desk", "stripe.refund", text)], "");
    assert!(set.cedar().contains(
        r#"context.args has note && context.args.note != "args.env" && context.env == "prod" && !(context.run.labels.contains("env"))"#
    ));
}

#[test]
fn free_rules_may_only_forbid_unless_allowed() {
    let text = "forbid (principal, action, resource);\n@id(\"p\")\npermit (principal, action, resource);";
    let problems = compile(&world(), &[], &free(text), &Options::default()).unwrap_err();
    let problem = problems.iter().find(|problem| problem.severity == Severity::Error).unwrap();
    assert_eq!((problem.code, problem.line, problem.column), ("free-permit", 3, 1));
    assert!(compile(&world(), &[], &free(text), &Options { allow_permits: true }).is_ok());
}

#[test]
fn a_rule_binds_undos_by_one_word_and_only_if_it_forbids() {
    for (applies, effect) in [("undos", "forbid"), ("undo", "permit")] {
        let text = format!("@applies(\"{applies}\")\n{effect} (principal, action, resource);");
        let problems = compile(&world(), &[], &free(&text), &Options { allow_permits: true }).unwrap_err();
        let problem = problems.iter().find(|problem| problem.severity == Severity::Error).unwrap();
        assert_eq!((problem.code, problem.line), ("applies", 2));
    }
}

#[test]
fn more_approval_must_never_take_away() {
    let yes = "context.approvals.contains(\"g\")";
    for refused in [
        format!("forbid (principal, action, resource) when {{ {yes} }};"),
        format!("forbid (principal, action, resource) when {{ !{yes} }};"),
        format!("forbid (principal, action, resource) unless {{ !{yes} }};"),
        format!("forbid (principal, action, resource) unless {{ {yes} == false }};"),
        format!("forbid (principal, action, resource) unless {{ if {yes} then false else true }};"),
        "forbid (principal, action, resource) unless { context.approvals.containsAll([\"g\"]) };".into(),
        "forbid (principal, action, resource) unless { context.approvals == [\"g\"] };".into(),
        "forbid (principal, action, resource) unless { context.approvals.contains(context.env) };".into(),
        "forbid (principal, action, resource) unless { context[\"approvals\"].isEmpty() };".into(),
        format!("permit (principal, action, resource) unless {{ {yes} }};"),
        format!("permit (principal, action, resource) when {{ !{yes} }};"),
        format!("permit (principal, action, resource) when {{ {yes} && context.hour + 1 > 3 }};"),
        format!("permit (principal, action, resource) when {{ {yes} }} when {{ context.hour * 2 > 3 }};"),
    ] {
        let found = errors(&[], &refused);
        assert!(found.iter().any(|problem| problem.code == "approvals-use"), "{refused}: {found:#?}");
    }
    for good in [
        format!("forbid (principal, action, resource) unless {{ {yes} }};"),
        format!("forbid (principal, action, resource) unless {{ {yes} || context.hour > 3 && {yes} }};"),
        format!("permit (principal, action, resource) when {{ context.hour + 1 > 3 && {yes} }};"),
    ] {
        assert!(errors(&[], &good).is_empty(), "{good}: {:?}", errors(&[], &good));
    }
}

#[test]
fn the_context_is_read_by_its_members() {
    for text in [
        "forbid (principal, action, resource) when { context == context };",
        "forbid (principal, action, resource) when { context.destinations_within.isEmpty() };",
        "forbid (principal, action, resource) when { context.destinations_within.contains(context.env) };",
    ] {
        assert!(!errors(&[], text).is_empty(), "{text}");
    }
}

#[test]
fn one_id_means_one_rule() {
    let text =
        "@id(\"x\") forbid (principal, action, resource);\n@id(\"x\") forbid (principal, action, resource);";
    assert_eq!(only(errors(&[], text)).code, "duplicate-id");
    assert_eq!(
        only(errors(&[], "@id(\"remit.env\") forbid (principal, action, resource);")).code,
        "duplicate-id"
    );
}

#[test]
fn an_argument_that_cedar_cannot_know_is_said() {
    let set = build(&[], "");
    let said: Vec<&str> = set.warnings().iter().map(|warning| warning.message.as_str()).collect();
    assert_eq!(said, ["rules cannot read `/odd` of tool `stripe.refund`: its schema uses `anyOf`"]);
    assert_eq!(
        only(errors(&[may("refund-desk", "stripe.refund", "args.odd == \"\"")], "")).code,
        "unknown-attribute"
    );
}

#[test]
fn lints() {
    let forbid = |rest: &str| {
        format!("forbid (principal, action == Remit::Action::\"stripe.refund\", resource){rest};")
    };
    assert_eq!(warnings(&[may("refund-desk", "nope.*", "")], ""), ["never-matches"]);
    assert_eq!(
        warnings(&[], "forbid (principal == Remit::Agent::\"ghost\", action, resource);"),
        ["never-matches"]
    );
    assert_eq!(warnings(&[may("refund-desk", "*", "")], ""), ["over-broad"]);
    assert_eq!(
        warnings(&[], "permit (principal, action in Remit::Action::\"read\", resource);"),
        ["over-broad"]
    );
    assert_eq!(warnings(&[may("refund-desk", "stripe.refund", "")], &forbid("")), ["shadowed"]);
    let twice = [may("refund-desk", "stripe.refund", ""), may("refund-desk", "stripe.refund", "hour > 3")];
    assert_eq!(warnings(&twice, ""), ["shadowed"]);
    let other = [may("refund-desk", "stripe.refund", ""), may("kb-reader", "stripe.refund", "hour > 3")];
    assert!(warnings(&other, "").is_empty());
    let has = forbid(" when { context.args has note && context.args.note == \"x\" }");
    assert_eq!(warnings(&[], &has), ["evadable"]);
    assert!(warnings(&[], &forbid(" when { context.args.amount_cents > 3 }")).is_empty());
}

#[test]
fn two_files_with_one_mistake_each_give_two_places() {
    let file = |file: &str| FreeRules {
        file: file.into(),
        text: "\nforbid (principal, action, resource) when { context.huor > 3 };".into(),
    };
    let problems =
        compile(&world(), &[], &[file("a.cedar"), file("b.cedar")], &Options::default()).unwrap_err();
    let places: Vec<_> = problems
        .iter()
        .filter(|p| p.severity == Severity::Error)
        .map(|p| (p.file.as_str(), p.line))
        .collect();
    assert!(places.contains(&("a.cedar", 2)) && places.contains(&("b.cedar", 2)), "{places:?}");
}
