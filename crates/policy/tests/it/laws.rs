//! Laws over random worlds of rules.

use policy::{Decision, Facts, May, RuleSet};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::world::{facts, may, try_build};

const AGENTS: [&str; 4] = ["refund-desk", "kb-reader", "tester", "stranger"];
const TOOLS: [&str; 4] = ["crm.lookup_ticket", "crm.add_note", "stripe.refund", "mail.send"];

fn atom() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..24i64).prop_map(|hour| format!("context.hour < {hour}")),
        Just("context.run.phase == \"commit\"".to_owned()),
        Just("context has args".to_owned()),
        Just("context.run.calls * 9223372036854775807 > 0".to_owned()),
        Just("context.env == principal.env".to_owned()),
        Just("context.env != \"prod\" || context.tenant == \"acme\"".to_owned()),
        (0..7i64).prop_map(|day| format!("!(context.weekday > {day}) && {day} >= context.hour")),
        Just("context.destinations_within.contains(\"*@a.example, *@b.example\")".to_owned()),
        Just("context.run.labels.contains(\"secret\")".to_owned()),
        Just("principal in Remit::Group::\"support\"".to_owned()),
    ]
}

fn refund_atom() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..3i64).prop_map(|limit| format!("args.amount_cents <= {}", limit * 1000)),
        (0..3i64).prop_map(|limit| format!("args.amount_cents > {} || args.charge_id != \"c\"", limit * 950)),
        (0..3i64).prop_map(|at| format!("{} == args.amount_cents && hour >= {at}", at * 950)),
        Just("[\"b\", \"c\"].contains(args.charge_id)".to_owned()),
        Just("!(args.charge_id == \"d\") && args.note != \"axb\"".to_owned()),
        Just("args has note && args.note like \"*x*\"".to_owned()),
        Just("args.rate.lessThan(decimal(\"1.5\"))".to_owned()),
        Just("args.to.iban == \"NL\" || true".replace("args.to.iban", "args.charge_id")),
        Just("args.amount_cents * 4 > 0".to_owned()),
    ]
}

fn group() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("finance"), Just("oncall"), Just("legal")]
}

fn a_may() -> impl Strategy<Value = May> {
    let plain = (
        prop_oneof![Just("crm.*"), Just("mail.send"), Just("*"), Just("crm.add_note")],
        proptest::option::of((0..24i64).prop_map(|h| format!("hour < {h}"))),
    );
    let refund = (Just("stripe.refund"), proptest::option::of(refund_atom()));
    let what = prop_oneof![plain.prop_map(|(t, w)| (t, w)), refund.prop_map(|(t, w)| (t, w))];
    (0..4usize, what, proptest::option::of(group()), any::<bool>()).prop_map(
        |(agent, (tool, when), ask, to)| {
            let mut may = may(AGENTS[agent], tool, &when.unwrap_or_default());
            may.ask = ask.map(str::to_owned);
            if to {
                may.to = vec!["*@a.example".into(), "*@b.example".into()];
            }
            may
        },
    )
}

fn a_free() -> impl Strategy<Value = String> {
    let principal = prop_oneof![
        Just("principal"),
        Just("principal == Remit::Agent::\"tester\""),
        Just("principal in Remit::Group::\"support\""),
        Just("principal in Remit::Tenant::\"acme\""),
        Just("principal is Remit::Agent in Remit::Group::\"readers\""),
    ];
    let action = prop_oneof![
        Just("action"),
        Just("action in Remit::Action::\"write\""),
        Just("action in [Remit::Action::\"read\", Remit::Action::\"mail.*\"]"),
        Just("action == Remit::Action::\"stripe.refund\""),
        Just("action in Remit::Action::\"irreversible\""),
    ];
    let resource = prop_oneof![
        Just("resource"),
        Just("resource in Remit::Server::\"crm\""),
        Just("resource == Remit::Tool::\"mail.send\"")
    ];
    let unless = proptest::option::of((group(), proptest::option::of(atom()), any::<bool>()));
    (1..9u8, principal, action, resource, proptest::option::of(atom()), unless).prop_map(
        |(n, p, a, r, when, unless)| {
            let effect = if n == 1 { "permit" } else { "forbid" };
            let mut text = format!("{effect} ({p}, {a}, {r})");
            text.extend(when.map(|when| format!(" when {{ {when} }}")));
            if effect == "forbid" {
                text.extend(unless.map(|(group, atom, and)| {
                    let yes = format!("context.approvals.contains(\"{group}\")");
                    let and = if and { "&&" } else { "||" };
                    atom.map_or(format!(" unless {{ {yes} }}"), |atom| {
                        format!(" unless {{ {yes} {and} {atom} }}")
                    })
                }));
            }
            text + ";\n"
        },
    )
}

fn rules() -> impl Strategy<Value = (Vec<May>, String, RuleSetBox)> {
    (prop::collection::vec(a_may(), 0..10), prop::collection::vec(a_free(), 0..8)).prop_filter_map(
        "rules that loading refuses",
        |(mut mays, free)| {
            for (n, may) in mays.iter_mut().enumerate() {
                may.id = format!("may[{n}]");
            }
            let text = free.concat();
            let set = try_build(&mays, &text).ok()?;
            Some((mays, text, RuleSetBox(std::sync::Arc::new(set))))
        },
    )
}

#[derive(Clone, Debug)]
struct RuleSetBox(std::sync::Arc<RuleSet>);

#[derive(Clone, Debug)]
struct Ask {
    agent: usize,
    tool: usize,
    args: Value,
    approvals: Vec<String>,
    destinations: Vec<String>,
    labels: Vec<String>,
    calls: i64,
    hour: i64,
}

impl Ask {
    fn facts(&self) -> Facts<'_> {
        Facts {
            approvals: &self.approvals,
            destinations: &self.destinations,
            labels: &self.labels,
            run_calls: self.calls,
            hour: self.hour,
            ..facts(AGENTS[self.agent], TOOLS[self.tool], &self.args)
        }
    }
}

fn an_ask() -> impl Strategy<Value = Ask> {
    let args = prop_oneof![
        Just(json!({})),
        Just(json!({ "amount_cents": 900, "charge_id": "c", "rate": 1.25, "note": "axb" })),
        Just(json!({ "amount_cents": 1900, "charge_id": "c", "rate": 2.5 })),
        Just(json!({ "amount_cents": i64::MAX, "charge_id": "c", "rate": 0.00001 })),
        Just(json!({ "amount_cents": "900", "charge_id": 3, "rate": true })),
    ];
    let approvals = prop::collection::vec(group().prop_map(str::to_owned), 0..3);
    let destinations = prop::collection::vec(
        prop_oneof![
            Just("x@a.example".to_owned()),
            Just("Y@B.example".to_owned()),
            Just("z@c.example".to_owned())
        ],
        0..3,
    );
    let labels = prop_oneof![Just(vec![]), Just(vec!["secret".to_owned()])];
    (0..4usize, 0..4usize, args, approvals, destinations, labels, 0..3i64, 0..24i64).prop_map(
        |(agent, tool, args, approvals, destinations, labels, calls, hour)| Ask {
            agent,
            tool,
            args,
            approvals,
            destinations,
            labels,
            calls,
            hour,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_global_rejects: 20_000, ..ProptestConfig::default() })]

    /// A rule left out of a slice could neither decide nor err.
    #[test]
    fn a_slice_answers_as_the_whole((_, _, set) in rules(), asks in prop::collection::vec(an_ask(), 24)) {
        for ask in asks {
            let (sliced, whole) = (set.0.decide(&ask.facts()), set.0.decide_whole(&ask.facts()));
            prop_assert_eq!(sliced, whole, "{:?}", ask);
        }
    }

    /// More approval never takes away, and what was asked for suffices.
    #[test]
    fn approvals_only_give((_, _, set) in rules(), asks in prop::collection::vec(an_ask(), 24), more in group()) {
        for ask in asks {
            let before = set.0.decide(&ask.facts());
            let mut after = ask.clone();
            after.approvals.push(more.to_owned());
            let rank = |decision| match decision { Decision::Deny => 0, Decision::Ask => 1, Decision::Allow => 2 };
            prop_assert!(rank(set.0.decide(&after.facts()).decision) >= rank(before.decision), "{:?} + {}", ask, more);
            if before.decision == Decision::Ask {
                after = ask.clone();
                after.approvals.extend(before.ask.iter().cloned());
                prop_assert_eq!(set.0.decide(&after.facts()).decision, Decision::Allow);
                for left_out in 0..before.ask.len() {
                    let mut less = ask.clone();
                    less.approvals.extend(before.ask.iter().enumerate().filter(|(n, _)| *n != left_out).map(|(_, g)| g.clone()));
                    prop_assert_ne!(set.0.decide(&less.facts()).decision, Decision::Allow);
                }
            }
        }
    }

    /// Nobody is let through whom who-can did not name, by the rule it named.
    #[test]
    fn who_can_misses_nobody((_, _, set) in rules(), asks in prop::collection::vec(an_ask(), 24)) {
        for ask in asks {
            let answer = set.0.decide(&ask.facts());
            for args in [None, Some(ask.args.clone())] {
                let found = set.0.who_can(&policy::Question { target: TOOLS[ask.tool].into(), args });
                if answer.decision == Decision::Allow {
                    for rule in &answer.rules {
                        let named = found.iter().any(|who| who.agent == AGENTS[ask.agent] && who.tool == TOOLS[ask.tool] && who.rule == *rule);
                        prop_assert!(named, "{:?} by {:?} is not in {:?}", ask, rule, found);
                    }
                }
                let free = found.iter().filter(|who| who.agent == AGENTS[ask.agent] && who.only_if.is_empty());
                if free.count() > 0 && answer.errors.is_empty() {
                    prop_assert_eq!(answer.decision, Decision::Allow, "{:?}", ask);
                }
            }
        }
    }
}
