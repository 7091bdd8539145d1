//! The scanner on Rust that tries to mislead it, and each rule on a file that breaks it.

use std::path::Path;

use super::scan::{Code, Function};
use super::{Findings, codes, deps, layers, sources, words};

fn function(name: &str, line: usize, lines: usize) -> Function {
    Function { name: name.to_owned(), line, lines }
}

fn wrong(path: &str, source: &str) -> Vec<String> {
    let mut findings = Findings::default();
    sources::one(Path::new(path), source, &mut findings);
    findings.wrong
}

#[test]
fn functions_are_measured_to_their_closing_brace() {
    let source = "fn one() {}\n\npub async fn two(\n    a: [u8; 4],\n) -> u8 {\n    if a { b } else { c }\n}\nfn three();\n";
    let found = Code::of(source).functions();
    assert_eq!(found, [function("one", 1, 1), function("two", 3, 5), function("three", 8, 1)]);
}

#[test]
fn braces_in_text_do_not_count() {
    let source = r####"fn tricky<'a>(x: &'a str) {
    let a = "} \" }"; // }
    let b = '}'; let c = '\''; let d = b'{';
    /* } /* } */ } */
    let e = r#" } " } "#; let f = br"}"; let r#fn = 1;
}
fn next() {}
"####;
    assert_eq!(Code::of(source).functions(), [function("tricky", 1, 6), function("next", 7, 1)]);
}

#[test]
fn pointers_to_functions_are_no_functions() {
    assert_eq!(Code::of("struct A { f: fn(u8) -> u8 }\ntype B = fn();\n").functions(), []);
}

#[test]
fn tests_are_not_measured() {
    let source = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { let x = f64::MAX; }\n}\n#[cfg(test)]\nmod more;\nfn c() {}\n";
    let code = Code::of(source);
    assert_eq!(code.functions(), [function("a", 1, 1), function("c", 8, 1)]);
    assert_eq!(code.lines, 2);
}

#[test]
fn paths_are_found_in_groups() {
    let code = Code::of(
        "use std::{fmt, fs::File};\nlet x = std :: net::Ipv4Addr::LOCALHOST;\nlet fs = std::io::empty();\n",
    );
    assert_eq!(code.paths("std", "fs"), [1]);
    assert_eq!(code.paths("std", "net"), [2]);
}

#[test]
fn fractions_are_not_fields_or_ranges() {
    assert_eq!(Code::of("let a = x.0.1;\nlet b = 0..10;\nlet c = 1.5;\nlet d = \"1.5\";\n").fractions(), [3]);
}

#[test]
fn a_good_file_passes() {
    assert_eq!(wrong("crates/kernel/src/run.rs", "//! Runs.\n\npub struct Run;\n"), [""; 0]);
}

#[test]
fn shape_is_demanded() {
    let long = format!("//! Long.\nfn long() {{\n{}}}\n", "    step();\n".repeat(70));
    for (path, source, says) in [
        ("crates/gate/src/line.rs", "pub struct Line;\n".to_owned(), "caption"),
        ("crates/gate/src/line.rs", format!("//! Line.\n{}", "\n".repeat(600)), "601 lines, at most 600"),
        ("crates/gate/src/lib.rs", format!("//! Map.\n{}", "\n".repeat(80)), "81 lines, at most 80"),
        ("crates/gate/src/line.rs", long, "line.rs:2: `long` has 72 lines"),
        ("crates/gate/src/line.rs", format!("//! {}\n", "x".repeat(117)), "121 characters"),
        ("crates/gate/src/call_helpers.rs", "//! X.\n".to_owned(), "`call_helpers` says nothing"),
        ("crates/gate/src/context/a.rs", "//! X.\n".to_owned(), "`context` says nothing"),
        ("crates/policy/src/a.rs", "//! X.\nuse std::time::Instant;\n".to_owned(), "a.rs:2: `Instant`"),
        ("crates/stdx/src/a.rs", "//! X.\nuse std::fs;\n".to_owned(), "`std::fs`"),
        ("crates/kernel/src/a.rs", "//! X.\nfn a(x: f64) {}\n".to_owned(), "float"),
    ] {
        let found = wrong(path, &source);
        assert!(matches!(found.as_slice(), [one] if one.contains(says)), "{path}: {says}: {found:?}");
    }
}

#[test]
fn tests_and_other_crates_are_free_of_the_ground_rules() {
    let long = format!("//! Cases.\nfn f() {{ let x: f64 = 0.5; }} // {}\n", "x".repeat(200));
    assert_eq!(wrong("crates/kernel/src/run/tests.rs", &long), [""; 0]);
    assert_eq!(wrong("crates/kernel/tests/it/main.rs", &long), [""; 0]);
    assert_eq!(wrong("crates/gate/src/clock.rs", "//! Clock.\nuse std::{fs, time::Instant};\n"), [""; 0]);
}

#[test]
fn codes_are_read_between_their_marks() {
    let marks = (concat!("// codes:", "start"), concat!("// codes:", "end"));
    let source = format!(
        "A => \"no\",\n{}\nA => \"one\",\nB | C =>\n    \"two\",\n{}\nD => \"no\",\n",
        marks.0, marks.1
    );
    assert_eq!(codes::listed(&source).unwrap(), ["one", "two"]);
    assert!(codes::listed("A => \"no\"").is_none());
}

#[test]
fn words_of_a_machine_are_found_at_their_root() {
    let path = concat!("/wo", "rk/");
    assert_eq!(words::banned(&format!("fine\ncd {path}main\n")), [(2, path)]);
    assert_eq!(words::banned(&format!("docs{path}main and https://host{path}")), []);
}

#[test]
fn licences_are_expressions() {
    let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
    for good in
        ["MIT", "MIT/GPL-3.0", "GPL-3.0 OR MIT", "ISC AND (GPL-3.0 OR MIT)", "Apache-2.0 WITH LLVM-exception"]
    {
        assert!(deps::permitted(good, &allowed), "{good}");
    }
    for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "Apache-2.0", "(MIT", "MIT MIT"] {
        assert!(!deps::permitted(bad, &allowed), "{bad}");
    }
}

#[test]
fn deny_rules_are_read() {
    let rules = include_str!("../../../../deny.toml");
    assert!(deps::banned(rules).contains(&"ring".to_owned()));
    let allowed = deps::strings(deps::list(rules, "licenses", "allow"));
    assert!(allowed.contains(&"MIT".to_owned()) && !allowed.contains(&"GPL-3.0".to_owned()));
}

#[test]
fn layers_only_point_down() {
    let mut above = Vec::new();
    for (name, allowed) in layers::LAYERS {
        assert!(allowed.iter().all(|to| above.contains(to)), "{name} names a later row");
        above.push(name);
    }
}

#[test]
fn a_forbidden_edge_is_found() {
    let package = |dependency: &str| {
        serde_json::json!({"packages": [
            {"name": "kernel", "version": "0.0.0", "publish": [], "manifest_path": "crates/kernel/Cargo.toml",
             "dependencies": [{"name": dependency, "kind": "dev"}]},
            {"name": "ledger", "version": "0.0.0", "publish": [], "manifest_path": "crates/ledger/Cargo.toml"},
        ]})
    };
    let wrong = |dependency: &str| {
        let mut findings = Findings::default();
        layers::check(&package(dependency), &mut findings).unwrap();
        findings.wrong.into_iter().filter(|line| line.contains("may not depend")).count()
    };
    assert_eq!((wrong("ledger"), wrong("serde")), (1, 0));
}
