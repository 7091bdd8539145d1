//! `calendar.zone`: the clocks by which hours, days and months of budgets are counted.

use jiff::Timestamp;
use jiff::tz::{self, TimeZone};
use kernel::calendar::{Calendar, Shift};
use kernel::time::Time;
use stdx::nearest::nearest;

use super::yaml::{At, Page};

/// How far shifts are written out: from the beginning of 2020, for forty years. The book must say the same whenever
/// it is read, so this does not follow the clock.
const FROM_S: i64 = 1_577_836_800;
const UNTIL_S: i64 = FROM_S + 40 * 366 * 86_400;

/// `utc`, how far the clocks are ahead of it (`+01:00`), or a place whose clocks it is (`Europe/Berlin`).
pub(super) fn read(page: &mut Page<'_>, at: &At<String>) -> Calendar {
    let text = at.value.as_str();
    if let Some(east_minutes) = fixed(text) {
        return Calendar { east_minutes, shifts: Vec::new() };
    }
    match tz::db().get(text).ok().and_then(|zone| followed(&zone)) {
        Some(calendar) => calendar,
        None => {
            let known: Vec<String> = tz::db().available().map(|name| name.to_string()).collect();
            let near = nearest(text, known.iter().map(String::as_str));
            let meant = near.map(|near| format!("do you mean `{near}`? ")).unwrap_or_default();
            page.error("zone", at.place, format!("`{text}` is no zone")).help(format!(
                "{meant}`utc`, a place such as `Europe/Berlin`, or hours and minutes ahead of UTC such as `+01:00`"
            ));
            Calendar::default()
        }
    }
}

fn fixed(text: &str) -> Option<i32> {
    if text.eq_ignore_ascii_case("utc") {
        return Some(0);
    }
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let two = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    let (hours, minutes): (i32, i32) =
        (two(hours).then_some(hours)?.parse().ok()?, two(minutes).then_some(minutes)?.parse().ok()?);
    (hours <= 14 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

/// Every shift of the clocks that is decided or expected.
fn followed(zone: &TimeZone) -> Option<Calendar> {
    let from = Timestamp::from_second(FROM_S).ok()?;
    let east = |at: Timestamp| zone.to_offset(at).seconds() / 60;
    let mut calendar = Calendar { east_minutes: east(from), shifts: Vec::new() };
    let mut last = calendar.east_minutes;
    let shifts = zone.following(from).map(|shift| shift.timestamp());
    for at in shifts.take_while(|at| at.as_second() < UNTIL_S) {
        // Only the name of the zone may change, and not its clocks.
        if east(at) != last {
            last = east(at);
            let from = Time(u64::try_from(at.as_millisecond()).ok()?);
            calendar.shifts.push(Shift { east_minutes: last, from });
        }
    }
    Some(calendar)
}

#[cfg(test)]
mod tests;
