//! Contracts and arguments: a tool file, a line `---`, and the arguments of a call that is then decided.
//!
//! Schema, validation, destinations and the rules meet whatever people and agents write; the event of the decision
//! must fit into the log.
#![no_main]

use std::sync::{Arc, LazyLock};

use kernel::call::{Call, Carrier};
use kernel::command::{Command, OpenRun};
use kernel::decide::decide;
use kernel::event::{Event, Stamp};
use kernel::id::{CallId, Mark, RunId};
use kernel::state::{Control, State};
use kernel::time::Time;
use libfuzzer_sys::fuzz_target;
use stdx::digest::Digest;

const AGENT: &str = "agent: eve\nowner: ada@example.com\npurpose: try things\nphases: off\nmay:\n  \
    - tool: \"*\"\n    to: [\"*@example.com\", \"*\"]\n  - tool: \"*\"\nbudget: { per_run: { calls: 9 } }\n";
const RUN: RunId = RunId(7);
const NOW: Time = Time(1_000_000);

static NOTHING: LazyLock<State> = LazyLock::new(State::default);

fuzz_target!(|text: &str| {
    let Some((tool, args)) = text.split_once("\n---\n") else { return };
    let Ok(args) = stdx::json::parse(args.as_bytes()) else { return };
    let files = [("remit.yaml", "{}"), ("agents/eve.yaml", AGENT), ("tools/tool.yaml", tool)];
    let Ok(rules) = remit::check_texts(&files) else { return };
    let mut state = NOTHING.clone();
    let control = Control::default();
    let open = OpenRun { run: RUN, agent: "eve".to_owned(), person: None, intent: None, implicit: None, parent: None, budget: None, credential: None };
    let opened = decide(&state, &control, &rules, &Command::OpenRun(open), NOW);
    apply(&mut state, &opened.events);
    for name in rules.book.tools.keys() {
        let call = Call {
            part: None,
            touches: Vec::new(),
            facts: Vec::new(),
            id: CallId(9),
            run: RUN,
            agent: "eve".to_owned(),
            tool: name.clone(),
            args: args.clone(),
            args_commitment: Digest::of(b"args"),
            args_mark: Mark([1; 16]),
            key_mark: None,
            bound: Default::default(),
            reasoning: None,
            model: None,
            context_tokens: None,
            carrier: Carrier::Gate,
            destinations: Vec::new(),
            hosts: Vec::new(),
            credential: None,
            ask_marks: None,
        };
        let decision = decide(&state, &control, &rules, &Command::Propose(Arc::new(call)), NOW);
        for (at, event) in decision.events.iter().enumerate() {
            let bytes = event.encode(&stamp(&state, at as u64));
            assert!(bytes.len() <= ledger::ENTRY_BYTES_MAX, "an event of {} bytes", bytes.len());
        }
        apply(&mut state, &decision.events);
    }
});

fn stamp(state: &State, after: u64) -> Stamp {
    Stamp { at: NOW, lane: 1, lane_seq: state.seq + 1 + after, tenant: "default".to_owned() }
}

fn apply(state: &mut State, events: &[Event]) {
    for event in events {
        let stamp = stamp(state, 0);
        state.apply(&stamp, event);
    }
}
