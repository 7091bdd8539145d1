//! Lists of destinations.

use super::all_within;

#[test]
fn all_of_them_and_at_least_one() {
    let to = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    assert!(all_within("*@a.example, *@b.example", &to(&["x@A.example", "y@b.EXAMPLE"])));
    assert!(!all_within("*@a.example", &to(&["x@a.example", "y@b.example"])));
    assert!(!all_within("*", &[]));
    assert!(!all_within("*@a.example", &to(&["x@a.example.evil"])));
}
