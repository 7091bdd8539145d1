//! Keys and run tokens: of all texts, only the very one that was given out opens anything.
//!
//! The first byte chooses a raw text, or edits of a real one: pairs of a place and a byte to put there; a place beyond
//! the end appends.
#![no_main]

use std::sync::{Arc, LazyLock};

use gate::clock::Wall;
use gate::{Caller, Gate, OpenAsk};
use libfuzzer_sys::fuzz_target;

const MANIFEST: &str = "agent: eve\nowner: ada@example.com\npurpose: try things\nphases: off\nmay: []\n";

struct House {
    gate: Gate,
    caller: Caller,
    key: String,
    token: String,
    _runtime: tokio::runtime::Runtime,
    _folder: tempfile::TempDir,
}

static HOUSE: LazyLock<House> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let rules = remit::check_texts(&[("remit.yaml", "{}"), ("agents/eve.yaml", MANIFEST)]).expect("rules");
    let options = gate::Options {
        folder: folder.path().to_owned(),
        lanes: 1,
        disk_reserve_bytes: 0,
        clock: Arc::new(Wall),
        reaches: Vec::new(),
    };
    let (gate, key, token) = runtime.block_on(async {
        let gate = Gate::open(options, Box::new(ledger::memory::Memory::new()), rules).expect("a gate");
        gate.begin().await.expect("a start");
        let key = gate.key_mint("eve", 86_400_000, "fuzz").await.expect("a log").expect("a key").secret;
        let caller = gate.identify(&key).expect("its own key");
        let run = gate.run_open(&caller, OpenAsk::default()).await.expect("a log").expect("a run");
        (gate, key, run.token)
    });
    let caller = gate.identify(&key).expect("its own key");
    House { gate, caller, key, token, _runtime: runtime, _folder: folder }
});

fuzz_target!(|bytes: &[u8]| {
    let Some((how, rest)) = bytes.split_first() else { return };
    let text = match how % 3 {
        0 => String::from_utf8_lossy(rest).into_owned(),
        1 => edited(&HOUSE.key, rest),
        _ => edited(&HOUSE.token, rest),
    };
    assert_eq!(HOUSE.gate.identify(&text).is_ok(), text == HOUSE.key, "key {text:?}");
    assert_eq!(HOUSE.gate.run_of(&HOUSE.caller, &text).is_ok(), text == HOUSE.token, "token {text:?}");
});

fn edited(text: &str, edits: &[u8]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for edit in edits.chunks_exact(2) {
        match bytes.get_mut(usize::from(edit[0])) {
            Some(byte) => *byte = edit[1],
            None => bytes.push(edit[1]),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
