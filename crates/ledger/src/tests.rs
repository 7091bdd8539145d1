//! One contract, kept by both stores; and random batches against a reference that shares no code with them.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::memory::Memory;
use crate::sqlite::{Options, Sqlite};
use crate::{Batch, ENTRY_BYTES_MAX, Entry, Error, Head, Log, Payload, Receipt};

pub(crate) fn entry(lane: u16, lane_seq: u64) -> Entry {
    let bytes = format!("entry {lane}/{lane_seq}").into_bytes();
    Entry {
        lane,
        lane_seq,
        time_ms: 1_700_000_000_000 + lane_seq,
        bytes,
        bumps_epoch: false,
        payloads: vec![],
    }
}

pub(crate) fn batch(entries: &[Entry]) -> Batch {
    Batch { entries: entries.to_vec(), ..Batch::default() }
}

pub(crate) fn payload(body: &str) -> Payload {
    Payload::new("test", [7; 32], body.as_bytes().to_vec(), false)
}

/// The first entry of lane 9, with one payload.
pub(crate) fn with_payload(payload: Payload) -> Batch {
    batch(&[Entry { payloads: vec![payload], ..entry(9, 1) }])
}

pub(crate) fn bump(lane_seq: u64) -> Entry {
    Entry { bumps_epoch: true, ..entry(0, lane_seq) }
}

/// Runs one part of the contract on a fresh log of each kind.
fn on_both(test: impl Fn(&mut dyn Log)) {
    test(&mut Memory::new());
    let folder = tempfile::tempdir().unwrap();
    test(&mut Sqlite::open(folder.path(), &Options::default()).unwrap());
}

fn head(log: &dyn Log) -> Head {
    log.reader().unwrap().head().unwrap()
}

#[test]
fn what_is_appended_is_read_back_verbatim_under_a_dense_index() {
    on_both(|log| {
        let first = log.append(&batch(&[entry(0, 1), entry(3, 1), entry(3, 2)])).unwrap();
        let second = log.append(&batch(&[entry(0, 2)])).unwrap();
        let indexes: Vec<u64> = first.iter().chain(&second).map(|receipt| receipt.index).collect();
        assert_eq!(indexes, [0, 1, 2, 3]);
        assert_eq!(second, [Receipt { index: 3, lane: 0, lane_seq: 2 }]);

        let mut reader = log.reader().unwrap();
        let page = reader.read(1, 2).unwrap();
        assert_eq!(page.len(), 2);
        assert_eq!((page[0].index, page[0].lane, page[0].lane_seq), (1, 3, 1));
        assert_eq!(page[1].bytes, entry(3, 2).bytes);
        assert_eq!(page[1].time_ms, entry(3, 2).time_ms);
        assert_eq!(reader.read(4, 10).unwrap(), []);
        assert_eq!(reader.read(u64::MAX, 10).unwrap(), []);
        let lanes = BTreeMap::from([(0, 2), (3, 2)]);
        assert_eq!(reader.head().unwrap(), Head { next_index: 4, lanes, control_epoch: 0 });
    });
}

#[test]
fn a_wrong_sequence_is_a_conflict_and_nothing_of_its_batch_stays() {
    on_both(|log| {
        log.append(&batch(&[entry(1, 1)])).unwrap();
        let before = head(log);
        for wrong in [0, 1, 3, 5] {
            // By its fourth entry the batch itself has moved lane 1 on to 3.
            let beside = Entry { payloads: vec![payload("beside")], ..entry(1, 2) };
            let refused = log.append(&batch(&[beside, entry(2, 1), entry(1, 3), entry(1, wrong)]));
            assert!(
                matches!(refused, Err(Error::Conflict { lane: 1, expected: 4, found }) if found == wrong),
                "{refused:?}"
            );
            assert_eq!(head(log), before);
            let lost = log.reader().unwrap().payload(1, &payload("beside").commitment);
            assert!(matches!(lost, Err(Error::NotFound)));
        }
        log.append(&batch(&[entry(1, 2)])).unwrap();
    });
}

#[test]
fn whoever_has_not_seen_a_bump_may_not_append() {
    on_both(|log| {
        let unseen = |control_head, entries: &[Entry]| Batch { control_head, ..batch(entries) };
        log.append(&unseen(Some(0), &[entry(0, 1), entry(1, 1)])).unwrap();
        log.append(&unseen(Some(0), &[bump(2), entry(0, 3)])).unwrap();
        assert_eq!(head(log).control_epoch, 2);

        for seen in [0, 1, 3] {
            let refused = log.append(&unseen(Some(seen), &[entry(1, 2)]));
            assert!(matches!(refused, Err(Error::StaleControl { seen: s, head: 2 }) if s == seen));
        }
        // Stale control is told even where there is a conflict as well.
        assert!(matches!(log.append(&unseen(Some(0), &[entry(1, 9)])), Err(Error::StaleControl { .. })));
        log.append(&unseen(Some(2), &[entry(1, 2)])).unwrap();
        log.append(&unseen(None, &[entry(1, 3)])).unwrap();
        let elsewhere = Entry { bumps_epoch: true, ..entry(1, 4) };
        assert!(matches!(log.append(&batch(&[elsewhere])), Err(Error::Invalid { .. })));
    });
}

#[test]
fn limits_hold() {
    on_both(|log| {
        let sized = |bytes: usize| Entry { bytes: vec![b'x'; bytes], ..entry(1, 1) };
        assert!(matches!(log.append(&batch(&[sized(ENTRY_BYTES_MAX + 1)])), Err(Error::TooLarge)));
        log.append(&batch(&[sized(ENTRY_BYTES_MAX)])).unwrap();
        let many: Vec<Entry> = (2..).take(crate::BATCH_ENTRIES_MAX + 1).map(|seq| entry(1, seq)).collect();
        assert!(matches!(log.append(&batch(&many)), Err(Error::TooLarge)));
        let late = Entry { time_ms: u64::MAX, ..entry(1, 2) };
        assert!(matches!(log.append(&batch(&[late])), Err(Error::Invalid { .. })));
        let tag = Payload::new("a\0b", [0; 32], vec![], false);
        assert!(matches!(log.append(&with_payload(tag)), Err(Error::Invalid { .. })));
        assert_eq!(log.append(&Batch::default()).unwrap(), []);
        assert_eq!(head(log).next_index, 1);
    });
}

#[test]
fn a_payload_is_checked_kept_under_its_entry_and_forgotten_for_good() {
    on_both(|log| {
        let (body, absent) = (payload("a body"), payload("another"));
        let forged = Payload { body: b"a b0dy".to_vec().into(), ..body.clone() };
        assert!(matches!(log.append(&with_payload(forged)), Err(Error::WrongCommitment)));
        assert_eq!(head(log), Head::default());
        let two = Entry { payloads: vec![payload("first"), body.clone()], ..entry(9, 1) };
        log.append(&batch(&[two, entry(9, 2)])).unwrap();
        log.append(&batch(&[Entry { payloads: vec![body.clone()], ..entry(9, 3) }])).unwrap();
        let mut reader = log.reader().unwrap();
        assert_eq!(reader.payload(0, &payload("first").commitment).unwrap(), b"first");
        assert_eq!(reader.payload(0, &body.commitment).unwrap(), b"a body");
        assert_eq!(reader.payload(2, &body.commitment).unwrap(), b"a body");
        for (index, commitment) in [
            (0, &absent.commitment),
            (1, &body.commitment),
            (3, &body.commitment),
            (u64::MAX, &body.commitment),
        ] {
            assert!(matches!(reader.payload(index, commitment), Err(Error::NotFound)));
            assert!(log.erase(index, commitment).is_err());
        }

        log.erase(0, &body.commitment).unwrap();
        log.erase(0, &body.commitment).unwrap();
        assert!(matches!(reader.payload(0, &body.commitment), Err(Error::Erased)));
        // What another entry brought is its own.
        assert_eq!(reader.payload(0, &payload("first").commitment).unwrap(), b"first");
        assert_eq!(reader.payload(2, &body.commitment).unwrap(), b"a body");
    });
}

#[test]
fn an_entry_brings_so_many_payloads_and_no_more() {
    on_both(|log| {
        let bodies = |count: usize| (0..count).map(|place| payload(&format!("body {place}"))).collect();
        let full = |seq, count| Entry { payloads: bodies(count), ..entry(1, seq) };
        let refused = log.append(&batch(&[full(1, crate::ENTRY_PAYLOADS_MAX + 1)]));
        assert!(matches!(refused, Err(Error::TooLarge)));
        // Neighbours that are both full do not take each other's place.
        let many = crate::ENTRY_PAYLOADS_MAX;
        log.append(&batch(&[full(1, many), full(2, many)])).unwrap();
        let last = format!("body {}", many - 1);
        let mut reader = log.reader().unwrap();
        for index in [0, 1] {
            assert_eq!(reader.payload(index, &payload("body 0").commitment).unwrap(), b"body 0");
            assert_eq!(reader.payload(index, &payload(&last).commitment).unwrap(), last.as_bytes());
        }
    });
}

#[test]
fn what_must_be_kept_cannot_be_erased() {
    on_both(|log| {
        let rules = Payload { keep: true, ..payload("permit nothing") };
        log.append(&with_payload(rules.clone())).unwrap();
        assert!(matches!(log.erase(0, &rules.commitment), Err(Error::Kept)));
        assert_eq!(log.reader().unwrap().payload(0, &rules.commitment).unwrap(), b"permit nothing");
    });
}

#[test]
fn an_entry_is_found_by_its_place_in_its_lane() {
    on_both(|log| {
        log.append(&batch(&[entry(1, 1), entry(2, 1), entry(1, 2)])).unwrap();
        let mut reader = log.reader().unwrap();
        let places = [(1, 1), (2, 1), (1, 2), (2, 2), (3, 1), (1, 0)];
        let found = places.map(|(lane, lane_seq)| reader.index_of(lane, lane_seq).unwrap());
        assert_eq!(found, [Some(0), Some(1), Some(2), None, None, None]);
    });
}

#[test]
fn a_snapshot_replaces_its_elder_and_never_leads_the_log() {
    on_both(|log| {
        log.append(&batch(&[entry(1, 1), entry(1, 2)])).unwrap();
        let mut reader = log.reader().unwrap();
        assert_eq!(reader.snapshot("lane-1").unwrap(), None);
        log.put_snapshot("lane-1", 1, b"one").unwrap();
        log.put_snapshot("lane-1", 2, b"two").unwrap();
        assert!(matches!(log.put_snapshot("lane-1", 3, b"three"), Err(Error::Invalid { .. })));
        assert_eq!(reader.snapshot("lane-1").unwrap(), Some((2, b"two".to_vec())));
        assert_eq!(reader.snapshot("lane-2").unwrap(), None);
    });
}

/// The reference: a list of (lane, sequence), and everything else counted anew each time.
#[derive(Default)]
struct Model {
    rows: Vec<(u16, u64)>,
    epoch: u64,
}

impl Model {
    fn takes(&mut self, batch: &Batch) -> bool {
        let mut rows = self.rows.clone();
        for entry in &batch.entries {
            let count = rows.iter().filter(|(lane, _)| *lane == entry.lane).count();
            if entry.lane_seq != count as u64 + 1 {
                return false;
            }
            rows.push((entry.lane, entry.lane_seq));
        }
        if batch.control_head.is_some_and(|seen| seen != self.epoch) {
            return false;
        }
        let bumps = batch.entries.iter().filter(|entry| entry.bumps_epoch);
        self.epoch = bumps.map(|entry| entry.lane_seq).max().unwrap_or(self.epoch);
        self.rows = rows;
        true
    }
}

/// A step names lanes, and now and then a slip away from the right sequence or epoch.
type Step = (Vec<(u16, bool, u64)>, Option<u64>);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let slip = prop_oneof![12 => Just(0u64), 1 => 1u64..3];
    let one = (0u16..4, prop::bool::weighted(0.2), slip.clone());
    prop::collection::vec((prop::collection::vec(one, 0..6), prop::option::of(slip)), 1..20)
}

fn step_batch(model: &Model, step: &Step) -> Batch {
    let mut counts: BTreeMap<u16, u64> = BTreeMap::new();
    for (lane, _) in &model.rows {
        *counts.entry(*lane).or_default() += 1;
    }
    let mut entries = Vec::new();
    for (lane, bumps, slip) in &step.0 {
        let next = counts.entry(*lane).or_default();
        *next += 1;
        entries.push(Entry { bumps_epoch: *bumps && *lane == 0, ..entry(*lane, *next + slip) });
    }
    Batch { entries, control_head: step.1.map(|slip| model.epoch + slip) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn both_stores_agree_with_the_reference(steps in steps()) {
        let folder = tempfile::tempdir().unwrap();
        let mut sqlite = Sqlite::open(folder.path(), &Options::default()).unwrap();
        let mut memory = Memory::new();
        let mut model = Model::default();
        for step in &steps {
            let batch = step_batch(&model, step);
            let due = model.takes(&batch);
            let (one, two) = (sqlite.append(&batch), memory.append(&batch));
            prop_assert_eq!(one.is_ok(), due);
            prop_assert_eq!(format!("{one:?}"), format!("{two:?}"));
            prop_assert_eq!(head(&sqlite), head(&memory));
            prop_assert_eq!(head(&sqlite).control_epoch, model.epoch);
        }
        drop(sqlite);
        let sqlite = Sqlite::open(folder.path(), &Options::default()).unwrap();
        let stored = sqlite.reader().unwrap().read(0, 1000).unwrap();
        prop_assert_eq!(&stored, &memory.reader().unwrap().read(0, 1000).unwrap());
        let rows: Vec<(u16, u64)> = stored.iter().map(|row| (row.lane, row.lane_seq)).collect();
        prop_assert_eq!(rows, model.rows);
    }
}

#[test]
fn each_error_has_a_code_of_its_own() {
    let errors = [Error::TooLarge, Error::Erased, Error::Kept, Error::NotFound, Error::Full];
    let codes: std::collections::BTreeSet<&str> = errors.iter().map(Error::code).collect();
    assert_eq!(codes.len(), errors.len());
    let locked = Error::Locked { holder: Some(42) };
    assert!(locked.to_string().contains("process 42"));
}
