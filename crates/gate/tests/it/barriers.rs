//! Halts and reloads are barriers: after they are acknowledged, no lane decides by what was before.

use gate::HaltAsk;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kernel::event::Event;
use kernel::halt::Scope;
use kernel::rules::Rules;
use kernel::verdict::Ruling;

use crate::book::{book, desk, with_rule};
use crate::stage::{Stage, lookup, rules, stores};

/// Sixteen tasks, each with a run of its own, call until they are told to stop.
async fn hammer(stage: &Stage, stop: Arc<AtomicBool>) -> Vec<tokio::task::JoinHandle<()>> {
    let mut tasks = Vec::new();
    for _ in 0..16 {
        let (gate, caller, stop) = (stage.gate.clone(), stage.caller.clone(), stop.clone());
        let mut run = stage.open().await.run;
        tasks.push(tokio::spawn(async move {
            let mut calls = 0;
            while !stop.load(Ordering::Relaxed) {
                let _ = gate.call(&caller, lookup(run)).await;
                calls += 1;
                // A run may only make so many calls.
                if calls % 100 == 0
                    && let Ok(Ok(opened)) = gate.run_open(&caller, gate::OpenAsk::default()).await
                {
                    run = opened.run;
                }
            }
        }));
    }
    tasks
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_is_permitted_after_a_halt() {
    for (log, folder) in stores() {
        let stage = Stage::new(log, folder, book(vec![desk()])).await;
        let stop = Arc::new(AtomicBool::new(false));
        let tasks = hammer(&stage, stop.clone()).await;
        for _ in 0..10 {
            tokio::time::sleep(std::time::Duration::from_millis(15)).await;
            stage.gate.halt(HaltAsk::new(Scope::All, "smoke", "ann")).await.unwrap().unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            stage.gate.resume(Scope::All, "clear", "ann").await.unwrap().unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        for task in tasks {
            task.await.unwrap();
        }
        let (mut halted, mut allowed) = (false, 0);
        for event in stage.events() {
            match event {
                Event::Halted(_) => halted = true,
                Event::Resumed(_) => halted = false,
                Event::CallDecided(call) => {
                    assert_eq!(call.ruling == Ruling::Deny, halted, "{:?}", call.reasons);
                    allowed += u64::from(!halted);
                }
                _ => {}
            }
        }
        assert!(allowed > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verdict_is_that_of_the_rules_it_cites() {
    let allow: Arc<Rules> = rules(book(vec![desk()]));
    let text = "@id(\"closed\") forbid (principal, action, resource);";
    let deny: Arc<Rules> = rules(with_rule(book(vec![desk()]), text));
    let rulings = HashMap::from([(allow.digest, Ruling::Allow), (deny.digest, Ruling::Deny)]);
    let (stage, _) = Stage::memory(book(vec![desk()])).await;
    let stop = Arc::new(AtomicBool::new(false));
    let tasks = hammer(&stage, stop.clone()).await;
    for round in 0..200 {
        let next = if round % 2 == 0 { &deny } else { &allow };
        stage.gate.activate(next.clone(), "ann").await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    let (mut active, mut seen) = (None, HashMap::new());
    for event in stage.events() {
        match event {
            Event::RulesActivated(rules) => active = Some(rules.digest),
            Event::CallDecided(call) if call.reasons.iter().all(|reason| reason.rule.is_some()) => {
                assert_eq!(Some(call.rules_digest), active);
                assert_eq!(call.ruling, rulings[&call.rules_digest]);
                *seen.entry(call.rules_digest).or_insert(0) += 1;
            }
            _ => {}
        }
    }
    assert_eq!(seen.len(), 2, "both versions decided");
}
