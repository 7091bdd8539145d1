//! The written form of a failpoint.

use super::armed::parse;

#[test]
fn a_name_may_carry_a_count() {
    assert_eq!(parse("ledger.in_commit"), ("ledger.in_commit", 1));
    assert_eq!(parse("ledger.in_commit:7"), ("ledger.in_commit", 7));
    assert_eq!(parse("odd:name"), ("odd:name", 1));
}
