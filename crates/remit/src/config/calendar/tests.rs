//! Zones by name, beside what the library of the zones itself says of each hour.

use super::*;

fn zone(name: &str) -> TimeZone {
    tz::db().get(name).unwrap()
}

#[test]
fn the_clocks_of_a_place_are_followed_to_the_hour() {
    for name in
        ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Tokyo", "Africa/Casablanca"]
    {
        let (zone, calendar) = (zone(name), followed(&zone(name)).unwrap());
        for hour in 0..(12 * 365 * 24) {
            let at = Timestamp::from_second(FROM_S + hour * 3_600).unwrap();
            let east = zone.to_offset(at).seconds() / 60;
            let time = Time(u64::try_from(at.as_millisecond()).unwrap());
            let told = calendar.shifts.iter().rev().find(|shift| shift.from <= time);
            assert_eq!(told.map_or(calendar.east_minutes, |shift| shift.east_minutes), east, "{name} {time}");
        }
    }
}

#[test]
fn what_is_ahead_by_a_fixed_time_stays_so() {
    assert_eq!([fixed("utc"), fixed("+01:00"), fixed("-03:30")], [Some(0), Some(60), Some(-210)]);
    assert_eq!([fixed("+1:00"), fixed("+15:00"), fixed("01:00"), fixed("+01:60")], [None; 4]);
    assert_eq!(followed(&zone("Asia/Tokyo")).unwrap(), Calendar { east_minutes: 540, shifts: Vec::new() });
}
