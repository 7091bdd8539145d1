//! Closing lines of the two test runners.

use super::Count;

#[test]
fn counts_nextest() {
    let mut count = Count::default();
    count.add("        PASS [   0.004s] stdx json::tests::depth");
    count.add("     Summary [   0.220s] 30 tests run: 29 passed (1 slow), 2 skipped");
    assert_eq!(count, Count { passed: 29, skipped: 2 });
}

#[test]
fn adds_up_libtest() {
    let mut count = Count::default();
    count
        .add("test result: ok. 7 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s");
    count
        .add("test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s");
    assert_eq!(count, Count { passed: 10, skipped: 1 });
}
