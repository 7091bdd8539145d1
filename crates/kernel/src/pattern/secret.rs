//! Secrets by the forms that their issuers give them.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::constant;

/// Each begins where a word begins, and takes all that its alphabet allows, so that nothing of it is left over.
const FORMS: &[&str] = &[
    // Amazon
    r"(?:AKIA|ASIA)[A-Z2-7]{16,}",
    // GitHub, GitLab
    r"gh[pousr]_[A-Za-z0-9]{36,}",
    r"github_pat_[A-Za-z0-9_]{22,}",
    r"glpat-[A-Za-z0-9_-]{20,}",
    // Slack
    r"xox[abeoprs]-[A-Za-z0-9-]{10,}",
    r"xapp-[0-9]-[A-Za-z0-9-]{10,}",
    r"hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/_-]{20,}",
    // Stripe
    r"[rs]k_(?:live|test)_[A-Za-z0-9]{16,}",
    r"whsec_[A-Za-z0-9+/=]{32,}",
    // Models
    r"sk-ant-[A-Za-z0-9_-]{20,}",
    r"sk-(?:proj|svcacct|admin|or-v1)-[A-Za-z0-9_-]{20,}",
    r"sk-[A-Za-z0-9]{32,}",
    r"hf_[A-Za-z0-9]{30,}",
    // Google
    r"AIza[A-Za-z0-9_-]{35,}",
    r"GOCSPX-[A-Za-z0-9_-]{20,}",
    r"ya29\.[A-Za-z0-9_-]{20,}",
    // Others
    r"npm_[A-Za-z0-9]{36,}",
    r"pypi-[A-Za-z0-9_-]{50,}",
    r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
    r"dop_v1_[0-9a-f]{64,}",
    r"shp(?:at|ss|ca|pa)_[0-9a-fA-F]{32,}",
    r"hvs\.[A-Za-z0-9_-]{24,}",
    r"AGE-SECRET-KEY-1[A-Z0-9]{50,}",
    // JSON web tokens, signed or encrypted
    r"eyJ[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*){2,}",
    // Our own
    r"rk_[A-Za-z0-9]{8,}_[A-Za-z0-9_-]{20,}",
];

/// Where the form is in what stands around: the find is the group `it`, or else the whole.
const AROUND: &[&str] = &[
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\z)",
    r#"://(?<it>[^\s/:@"'<>]*:[^\s/@"'<>]+)@"#,
    r"(?i-u:\bbearer) +(?<it>[A-Za-z0-9._~+/-]{24,}=*)",
    NAMED,
];

/// Amazon's secret keys and the like have no form but their length, so a word beside them must tell.
const NAMED: &str = concat!(
    r"(?i-u:secret|access|private|api|auth|account)[_\- ]?(?i-u:access[_\- ]?)?(?i-u:key|token)",
    r#"["']?\s*(?:=>|:=|[:=])\s*["']?(?<it>[A-Za-z0-9/+_-]{40,}=*)"#
);

static SECRET: LazyLock<Regex> = LazyLock::new(|| {
    let forms = FORMS.join("|");
    constant(&format!(r"(?-u:\b)(?:{forms})"))
});

static SECRET_AROUND: LazyLock<Vec<Regex>> =
    LazyLock::new(|| AROUND.iter().map(|form| constant(form)).collect());

pub(super) fn finds(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = SECRET.find_iter(text).map(|found| found.range()).collect();
    for form in SECRET_AROUND.iter() {
        let finds = form.captures_iter(text).filter_map(|found| found.name("it").or(found.get(0)));
        found.extend(finds.map(|found| found.range()));
    }
    found.sort_by_key(|find| (find.start, find.end));
    joined(found)
}

fn joined(found: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let mut apart: Vec<Range<usize>> = Vec::with_capacity(found.len());
    for find in found {
        match apart.last_mut() {
            Some(last) if find.start < last.end => last.end = last.end.max(find.end),
            _ => apart.push(find),
        }
    }
    apart
}

/// A member whose name says that its value is a key.
pub(super) fn is_named(name: &str, text: &str) -> bool {
    static WHOLE: LazyLock<Regex> = LazyLock::new(|| constant(&format!("{NAMED}$")));
    let long = (40..=512).contains(&text.len()) && name.len() <= 128;
    long && WHOLE.is_match(&format!("{}={text}", name.replace(['.', '-'], "_")))
}
