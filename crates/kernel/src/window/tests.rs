//! Windows by the calendar, and accounts as they are written.

use expect_test::expect;

use super::{AccountId, Owner, Window};
use crate::calendar::{Calendar, Shift};
use crate::time::Time;

/// Saturday 2026-11-21, 12:34:56.789 UTC.
const NOON: Time = Time(1_795_264_496_789);

fn span(window: Window, at: Time, east_minutes: i32) -> [String; 2] {
    spans(window, at, &fixed(east_minutes))
}

fn fixed(east_minutes: i32) -> Calendar {
    Calendar { east_minutes, shifts: Vec::new() }
}

fn spans(window: Window, at: Time, calendar: &Calendar) -> [String; 2] {
    let (from, until) = window.span(at, calendar);
    [from.to_string(), until.to_string()]
}

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

/// An hour ahead, and two in summer.
fn summers() -> Calendar {
    let shift = |from: &str, east_minutes| Shift { from: time(from), east_minutes };
    let shifts = vec![shift("2026-03-29T01:00Z", 120), shift("2026-10-25T01:00Z", 60)];
    Calendar { east_minutes: 60, shifts }
}

#[test]
fn a_day_on_which_clocks_are_set_is_longer_or_shorter() {
    let calendar = summers();
    let days = [
        "2026-03-29T00:30Z",
        "2026-03-29T21:00Z",
        "2026-07-01T12:00Z",
        "2026-10-25T00:30Z",
        "2026-10-25T22:30Z",
    ]
    .map(|at| spans(Window::Day, time(at), &calendar).map(|at| at[..16].to_owned()).join(" "));
    expect![[r#"
        2026-03-28T23:00 2026-03-29T22:00
        2026-03-28T23:00 2026-03-29T22:00
        2026-06-30T22:00 2026-07-01T22:00
        2026-10-24T22:00 2026-10-25T23:00
        2026-10-24T22:00 2026-10-25T23:00"#]]
    .assert_eq(&days.join("\n"));
    let month = spans(Window::Month, time("2026-10-25T12:00Z"), &calendar);
    assert_eq!(month, ["2026-09-30T22:00:00.000Z", "2026-10-31T23:00:00.000Z"]);
}

/// Whatever the clocks do, each moment is in one window, and none is forgotten before its end.
#[test]
fn windows_follow_one_another_over_a_shift() {
    let calendar = summers();
    for window in Window::ALL {
        for start in [time("2026-03-28T20:00Z"), time("2026-10-24T20:00Z")] {
            for step in 0..(40 * 4) {
                let at = start.plus_ms(step * 900_000);
                let (from, until) = window.span(at, &calendar);
                assert!(from <= at && at < until, "{window:?} {at}");
                assert_eq!(window.span(until, &calendar).0, until, "{window:?} {at}");
                assert_eq!(window.span(from, &calendar), (from, until), "{window:?} {at}");
                let account = AccountId { owner: Owner::Agent("a".into()), window, from };
                assert!(account.kept_until() >= until, "{window:?} {at}");
            }
        }
    }
}

#[test]
fn a_window_holds_its_moment_and_ends_where_the_next_begins() {
    for window in Window::ALL {
        for east in [-720, -210, 0, 60, 330, 840] {
            let (from, until) = window.span(NOON, &fixed(east));
            assert!(from <= NOON && NOON < until, "{window:?} {east}");
            assert_eq!(window.span(until, &fixed(east)).0, until, "{window:?} {east}");
            assert_eq!(window.span(from, &fixed(east)), (from, until), "{window:?} {east}");
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
