//! Windows by the calendar, and accounts as they are written.

use super::{AccountId, Owner, Window};
use crate::time::Time;

/// Saturday 2026-11-21, 12:34:56.789 UTC.
const NOON: Time = Time(1_795_264_496_789);

fn span(window: Window, at: Time, east_minutes: i32) -> [String; 2] {
    let (from, until) = window.span(at, east_minutes);
    [from.to_string(), until.to_string()]
}

#[test]
fn a_window_holds_its_moment_and_ends_where_the_next_begins() {
    for window in Window::ALL {
        for east in [-720, -210, 0, 60, 330, 840] {
            let (from, until) = window.span(NOON, east);
            assert!(from <= NOON && NOON < until, "{window:?} {east}");
            assert_eq!(window.span(until, east).0, until, "{window:?} {east}");
            assert_eq!(window.span(from, east), (from, until), "{window:?} {east}");
        }
    }
}

#[test]
fn days_and_months_are_of_the_calendar_of_the_house() {
    assert_eq!(span(Window::Day, NOON, 0), ["2026-11-21T00:00:00.000Z", "2026-11-22T00:00:00.000Z"]);
    assert_eq!(span(Window::Day, NOON, 60), ["2026-11-20T23:00:00.000Z", "2026-11-21T23:00:00.000Z"]);
    assert_eq!(span(Window::Day, NOON, -780), ["2026-11-20T13:00:00.000Z", "2026-11-21T13:00:00.000Z"]);
    assert_eq!(span(Window::Month, NOON, 0), ["2026-11-01T00:00:00.000Z", "2026-12-01T00:00:00.000Z"]);
    let leap = Time(1_835_400_000_000);
    assert_eq!(span(Window::Month, leap, 0), ["2028-02-01T00:00:00.000Z", "2028-03-01T00:00:00.000Z"]);
}

#[test]
fn an_account_is_read_as_it_is_written() {
    for owner in [Owner::Agent("refund-desk".into()), Owner::Tenant("a/b: c".into())] {
        let id = AccountId { owner, window: Window::Day, from: Time(7) };
        assert_eq!(id.to_string().parse(), Ok(id));
    }
    for wrong in ["", "agent:a", "agent:a/day", "agent:a/week/1", "run:a/day/1", "agent:a/day/x"] {
        assert!(wrong.parse::<AccountId>().is_err(), "{wrong}");
    }
}
