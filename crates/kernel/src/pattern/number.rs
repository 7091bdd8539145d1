//! Numbers that mean a person or their money: cards, bank accounts, telephones.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::constant;

/// A find is a number of its own: no letter or digit touches it.
fn stands_alone(text: &str, find: &Range<usize>) -> bool {
    let bytes = text.as_bytes();
    let touches = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_alphanumeric);
    !touches(find.start.checked_sub(1)) && !touches(Some(find.end))
}

fn digits(text: &str) -> Vec<u32> {
    text.chars().filter_map(|c| c.to_digit(10)).collect()
}

// ---- Cards -------------------------------------------------------------------------------------------------------

pub(super) fn cards(text: &str) -> Vec<Range<usize>> {
    /// In one piece, in fours, or as American Express and Diners Club write them.
    static CARD: LazyLock<Regex> = LazyLock::new(|| {
        let fours = |dash: &str| format!(r"[0-9]{{4}}(?:{dash}[0-9]{{4}}){{2,3}}(?:{dash}[0-9]{{1,4}})?");
        let sixes = |dash: &str| format!("[0-9]{{4}}{dash}[0-9]{{6}}{dash}[0-9]{{4,5}}");
        let forms = [" ", "-"].map(|dash| format!("{}|{}", sixes(dash), fours(dash)));
        constant(&format!("(?-u:\\b)(?:[0-9]{{13,19}}|{})(?-u:\\b)", forms.join("|")))
    });
    overlapping(&CARD, text, |find| is_card(&digits(text.get(find.clone()).unwrap_or_default())))
}

/// Where a find is none after all, the search goes on within it.
fn overlapping(form: &Regex, text: &str, is: impl Fn(&Range<usize>) -> bool) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(find) = form.find_at(text, from).map(|find| find.range()) {
        if is(&find) && stands_alone(text, &find) {
            from = find.end;
            found.push(find);
        } else {
            let rest = text.as_bytes().get(find.start..find.end).unwrap_or_default();
            let word = rest.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'+');
            from = find.start + word.unwrap_or(rest.len()).max(1);
        }
    }
    found
}

fn is_card(digits: &[u32]) -> bool {
    let lead = |count: usize| digits.iter().take(count).fold(0, |sum, digit| sum * 10 + digit);
    let lengths: &[usize] = match (lead(2), lead(3), lead(4)) {
        (40..=49, ..) => &[13, 16, 19],
        (34 | 37, ..) => &[15],
        (51..=55, ..) | (_, _, 2221..=2720) => &[16],
        (65, ..) | (_, 644..=649, _) | (_, _, 6011) | (_, _, 3528..=3589) | (62, ..) => &[16, 17, 18, 19],
        (36 | 38 | 39, ..) | (_, 300..=305, _) => &[14],
        _ => &[],
    };
    lengths.contains(&digits.len()) && luhn(digits)
}

fn luhn(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| match at % 2 {
            0 => *digit,
            _ => digit * 2 / 10 + digit * 2 % 10,
        })
        .sum();
    sum.is_multiple_of(10)
}

// ---- Bank accounts -----------------------------------------------------------------------------------------------

/// Each country's length, from the registry of ISO 13616.
const IBAN_LENGTHS: &[(usize, &str)] = &[
    (15, "NO"),
    (16, "BE"),
    (18, "DK FI FK FO GL NL SD"),
    (19, "MK SI"),
    (20, "AT BA EE KZ LT LU XK"),
    (21, "CH HR LI LV"),
    (22, "BG BH CR DE GB GE IE ME RS VA"),
    (23, "AE GI IL IQ OM SO TL"),
    (24, "AD CZ ES MD PK RO SA SE SK TN VG"),
    (25, "LY PT ST"),
    (26, "IS TR"),
    (27, "BI DJ FR GR IT MC SM"),
    (28, "AL AZ BY CY DO GT HU LB NI PL SV"),
    (29, "BR EG PS QA UA"),
    (30, "JO KW MU YE"),
    (31, "MT SC"),
    (32, "LC"),
    (33, "RU"),
];

pub(super) fn ibans(text: &str) -> Vec<Range<usize>> {
    static START: LazyLock<Regex> = LazyLock::new(|| constant(r"(?-u:\b)[A-Za-z]{2}[0-9]{2}"));
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(start) = START.find_at(text, from).map(|find| find.start()) {
        from = start + 4;
        if let Some(end) = iban_end(text, start).filter(|end| stands_alone(text, &(start..*end))) {
            from = end;
            found.push(start..end);
        }
    }
    found
}

/// Where the account number that starts here ends, if it is one: as long as its country says, with a check sum that
/// holds. One space or dash may stand between any two characters.
fn iban_end(text: &str, start: usize) -> Option<usize> {
    let country = text.get(start..start + 2)?.to_ascii_uppercase();
    let (length, _) =
        IBAN_LENGTHS.iter().find(|(_, countries)| countries.split(' ').any(|it| it == country))?;
    let mut number = Vec::with_capacity(*length);
    let mut was_gap = false;
    for (at, byte) in text.bytes().enumerate().skip(start) {
        if byte.is_ascii_alphanumeric() {
            number.push(byte);
            was_gap = false;
            if number.len() == *length {
                return (remainder(&number) == 1).then_some(at + 1);
            }
        } else if was_gap || !matches!(byte, b' ' | b'-') {
            return None;
        } else {
            was_gap = true;
        }
    }
    None
}

fn remainder(number: &[u8]) -> u32 {
    let (head, tail) = number.split_at_checked(4).unwrap_or((number, &[]));
    tail.iter()
        .chain(head)
        .filter_map(|byte| char::from(*byte).to_digit(36))
        .fold(0, |rest, digit| if digit < 10 { (rest * 10 + digit) % 97 } else { (rest * 100 + digit) % 97 })
}

// ---- Telephones --------------------------------------------------------------------------------------------------

pub(super) fn phones(text: &str) -> Vec<Range<usize>> {
    /// With the country's prefix in any grouping; or as numbers are written in North America; or, in groups, with the
    /// leading zero of most other countries. Bare digits without a prefix are no number: they may be anything.
    static PHONE: LazyLock<Regex> = LazyLock::new(|| {
        constant(concat!(
            r"\+[1-9](?:[ .\-/]?\(?[0-9]+\)?)+",
            r"|(?:(?-u:\b)1[ .\-])?\([2-9][0-9]{2}\) ?[2-9][0-9]{2}[ .\-][0-9]{4}",
            r"|(?-u:\b)(?:1[ .\-])?[2-9][0-9]{2}(?:-[2-9][0-9]{2}-|\.[2-9][0-9]{2}\.| [2-9][0-9]{2} )[0-9]{4}",
            r"|(?:\(0[1-9][0-9]{1,4}\)|(?-u:\b)0[1-9][0-9]{1,4})[ /\-][0-9]{3,9}(?:[ \-][0-9]{2,5}){0,4}",
        ))
    });
    overlapping(&PHONE, text, |find| {
        let found = text.get(find.clone()).unwrap_or_default();
        let count = digits(found).len();
        if found.starts_with('+') { (8..=15).contains(&count) } else { (9..=12).contains(&count) }
    })
}
