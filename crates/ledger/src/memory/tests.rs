//! The faults: before the effect, after it, a full disk, a crash, a changed byte.

use super::{Fault, Memory};
use crate::tests::{batch, entry, payload, with_payload};
use crate::{Error, Log, Read};

#[test]
fn a_planned_fault_strikes_once_before_or_after_the_effect() {
    let mut log = Memory::new();
    log.fail_at(1, Fault::Before);
    log.fail_at(2, Fault::After);
    assert!(matches!(log.append(&batch(&[entry(1, 1)])), Err(Error::Io(_))));
    assert_eq!(log.head().unwrap().next_index, 0);
    assert!(matches!(log.append(&batch(&[entry(1, 1)])), Err(Error::Io(_))));
    assert_eq!(log.head().unwrap().next_index, 1);
    log.append(&batch(&[entry(1, 2)])).unwrap();
    assert_eq!(log.appends(), 3);
}

#[test]
fn a_crash_ends_every_other_handle_and_keeps_what_was_appended() {
    let log = Memory::new();
    let mut writer = log.clone();
    let mut reader = writer.reader().unwrap();
    writer.append(&batch(&[entry(1, 1)])).unwrap();
    log.crash();
    // The late batch of a dead process must not land.
    assert!(matches!(writer.append(&batch(&[entry(1, 2)])), Err(Error::Io(_))));
    assert!(matches!(reader.head(), Err(Error::Io(_))));
    assert!(writer.reader().is_err());
    let mut next = log.clone();
    assert_eq!(next.head().unwrap().next_index, 1);
    next.append(&batch(&[entry(1, 2)])).unwrap();
}

#[test]
fn a_full_disk_refuses_until_there_is_room() {
    let mut log = Memory::new();
    log.set_full(true);
    assert!(matches!(log.append(&batch(&[entry(1, 1)])), Err(Error::Full)));
    log.set_full(false);
    log.append(&batch(&[entry(1, 1)])).unwrap();
}

#[test]
fn a_changed_byte_is_damage() {
    let mut log = Memory::new();
    let body = payload("a body");
    log.append(&with_payload(body.clone())).unwrap();
    assert!(log.tamper_payload(0, &body.commitment, 3));
    assert!(!log.tamper_payload(0, &body.commitment, 99));
    assert!(matches!(log.payload(0, &body.commitment), Err(Error::Damaged { .. })));
}
