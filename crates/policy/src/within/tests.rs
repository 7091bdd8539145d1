//! What a pattern reaches, and what it must not.

use super::is_within;

#[test]
fn a_star_stays_between_slashes_and_two_cross_them() {
    let rows: &[(&str, &[&str], &[&str])] = &[
        ("*", &["ann@a.example", "/etc/passwd", "a.example/x", ""], &[]),
        ("**", &["ann@a.example", "/etc/passwd"], &[]),
        (
            "*@a.example",
            &["ann@a.example", "ANN@A.example"],
            &["ann@a.example.evil", "evil.example/x@a.example"],
        ),
        ("*.A.example", &["x.a.example", "x.y.a.example"], &["a.example", "evil/x.a.example"]),
        (
            "/srv/data/**",
            &["/srv/data/x", "/srv/data/x/y"],
            &["/srv/data", "/srv/database", "/SRV/data/x", "/srv/DATA/x"],
        ),
        ("/srv/*/in", &["/srv/a/in"], &["/srv/a/b/in", "/srv/in"]),
        ("/srv/**/in", &["/srv/a/in", "/srv/a/b/in"], &["/srv/a/inn"]),
        ("/a/**/b*/*.txt", &["/a/x/y/b1/c.txt", "/a/b/b/b/c.txt"], &["/a/x/c1/c.txt", "/a/x/b1/c/d.txt"]),
        (
            "hooks.example/T1/**",
            &["hooks.example/T1/x", "HOOKS.example/T1/x"],
            &["hooks.example/t1/x", "hooks.example"],
        ),
        (
            "github.com/acme/*",
            &["github.com/acme/site"],
            &["github.com/acme/site/x", "evil/github.com/acme/x"],
        ),
        ("", &[""], &["a"]),
    ];
    for (pattern, within, outside) in rows {
        within.iter().for_each(|text| assert!(is_within([*pattern], text), "{pattern} {text}"));
        outside.iter().for_each(|text| assert!(!is_within([*pattern], text), "{pattern} {text}"));
    }
}

#[test]
fn no_pattern_is_slow() {
    let text = "/".to_owned() + &"a".repeat(4_096);
    assert!(!is_within(["/*a*a*a*a*b"], &text) && !is_within(["**a**a**a*b"], &text));
}
