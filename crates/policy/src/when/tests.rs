//! The short form and its way back.

use super::*;

#[test]
fn only_bare_leading_names_are_completed() {
    for (short, long) in [
        ("args.x <= 5", "context.args.x <= 5"),
        ("context.args.x", "context.args.x"),
        ("a.args . env", "a.args . env"),
        ("\"args \\\" env\" == env", "\"args \\\" env\" == context.env"),
        ("args has env && args has run.env", "context.args has env && context.args has run.env"),
        ("// args\nenv", "// args\ncontext.env"),
        ("Remit::Tool::\"env\" == run::\"x\"", "Remit::Tool::\"env\" == run::\"x\""),
        ("{env: env}", "{env: context.env}"),
        ("myenv envy _env", "myenv envy _env"),
        ("principal.env == tenant", "principal.env == context.tenant"),
        ("\"never closed args", "\"never closed args"),
        ("é args", "é context.args"),
    ] {
        assert_eq!(rewrite(short).cedar, long);
    }
}

#[test]
fn every_offset_leads_back() {
    let when = rewrite("hour > 3 && args.x == env");
    for name in ["hour", "args", "env", "== ", "3"] {
        let at = when.cedar.find(name).unwrap();
        assert_eq!(when.back(at), when.original.find(name).unwrap(), "{name}");
    }
    assert_eq!(when.back(when.cedar.find("context.args").unwrap()), 12);
    assert_eq!(when.back(10_000), when.original.len());
}
