//! What needs no server.

use super::*;

#[test]
fn a_path_part_cannot_break_out() {
    assert_eq!(encode("a/b?c=d&é\n"), "a%2Fb%3Fc%3Dd%26%C3%A9%0A");
}

#[test]
fn a_problem_is_shown_in_its_own_words() {
    let problem = Problem::new(crate::problem::Code::NotFound, "no run run_1");
    let error = refused(StatusCode::NOT_FOUND, &serde_json::to_vec(&problem).unwrap());
    assert_eq!(error.to_string(), "not_found: no run run_1; look at /openapi.json for what is here");
    let error = refused(StatusCode::BAD_GATEWAY, b"<html>");
    assert!(matches!(error, Error::Strange { .. }));
}
