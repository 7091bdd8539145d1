//! Globs that can meet.

use super::overlap;

#[test]
fn overlapping_globs() {
    for (a, b, meet) in [
        ("*@a.example", "x@a.example", true),
        ("*@a.example", "*@b.example", false),
        ("*", "anything", true),
        ("a*", "*b", true),
        ("", "*", true),
        ("", "a", false),
        ("A", "a", true),
        ("a*c", "ab*", true),
        ("ab", "a", false),
    ] {
        assert_eq!(overlap(a, b), meet, "{a} {b}");
        assert_eq!(overlap(b, a), meet, "{b} {a}");
    }
}
