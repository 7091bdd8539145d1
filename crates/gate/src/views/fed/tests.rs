//! Whatever is told and whatever is read back, each event comes once, in the order of the log.

use kernel::event::ToolRested;
use kernel::time::Time;
use ledger::memory::Memory;
use ledger::{Batch, Entry, Log};

use super::*;

fn happened(index: u64) -> (Stamp, Event) {
    let rested = ToolRested { failures: 1, tool: format!("crm.{index}"), trouble: None, until: None };
    let stamp = Stamp { at: Time(index), lane: 1, lane_seq: index + 1, tenant: "house".to_owned() };
    (stamp, Event::ToolRested(rested))
}

fn durable(index: u64) -> Durable {
    let (stamp, event) = happened(index);
    Durable { index, stamp, event }
}

/// A log of so many events.
fn log(count: u64) -> Box<dyn Read> {
    let mut log = Memory::new();
    let entry = |index: u64| {
        let (stamp, event) = happened(index);
        let bytes = event.encode(&stamp);
        let (lane, lane_seq) = (stamp.lane, stamp.lane_seq);
        Entry { lane, lane_seq, time_ms: index, bytes, bumps_epoch: false, payloads: Vec::new() }
    };
    for index in 0..count {
        log.append(&Batch { entries: vec![entry(index)], control_head: None }).unwrap();
    }
    log.reader().unwrap()
}

fn indexes(fed: &Fed, log: &mut dyn Read, next: u64, most: usize) -> (Vec<u64>, u64) {
    let (events, end) = fed.following(log, next, most).unwrap();
    for event in &events {
        let (stamp, whole) = happened(event.index);
        assert_eq!((&event.stamp, &event.event), (&stamp, &whole));
    }
    (events.iter().map(|event| event.index).collect(), end)
}

#[test]
fn what_is_told_is_not_read_back() {
    let (fed, mut empty) = (Fed::default(), log(0));
    fed.put((3..6).map(durable).collect());
    fed.put(vec![durable(6)]);
    assert_eq!(indexes(&fed, empty.as_mut(), 3, 2), (vec![3, 4], 5));
    assert_eq!(indexes(&fed, empty.as_mut(), 5, 9), (vec![5, 6], 7));
    assert_eq!(indexes(&fed, empty.as_mut(), 7, 9), (vec![], 7));
}

#[test]
fn what_was_not_told_is_read_back_up_to_what_was() {
    let (fed, mut log) = (Fed::default(), log(8));
    fed.put(vec![durable(2), durable(5), durable(6)]);
    assert_eq!(indexes(&fed, log.as_mut(), 0, 9), (vec![0, 1], 2));
    assert_eq!(indexes(&fed, log.as_mut(), 2, 9), (vec![2], 3));
    assert_eq!(indexes(&fed, log.as_mut(), 3, 9), (vec![3, 4], 5));
    assert_eq!(indexes(&fed, log.as_mut(), 5, 9), (vec![5, 6], 7));
    assert_eq!(indexes(&fed, log.as_mut(), 7, 9), (vec![7], 8));
}

#[test]
fn what_is_known_already_is_passed_over() {
    let (fed, mut log) = (Fed::default(), log(6));
    fed.put((0..4).map(durable).collect());
    assert_eq!(indexes(&fed, log.as_mut(), 3, 9), (vec![3], 4));
}

#[test]
fn what_finds_no_room_is_read_back() {
    let (fed, most) = (Fed::default(), LYING_MAX as u64);
    fed.put((0..most).map(durable).collect());
    fed.put(vec![durable(most)]);
    assert_eq!(fed.lying().len(), LYING_MAX);
    let (told, end) = fed.following(log(0).as_mut(), 0, LYING_MAX + 9).unwrap();
    assert_eq!((told.len(), end), (LYING_MAX, most));
}
