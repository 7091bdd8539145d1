//! The check at open: the heads agree with the events, and the pages with each other.

use std::path::Path;

use rusqlite::Connection;

use super::read::{head_full, number};
use crate::error::Error;
use crate::log::{CONTROL_LANE, Head};

/// Reads the index of events once from end to end, which is far less than the fold that follows any open.
pub(super) fn whole(conn: &Connection, path: &Path, page_check_bytes_max: u64) -> Result<(), Error> {
    if std::fs::metadata(path)?.len() <= page_check_bytes_max {
        let verdict: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if verdict != "ok" {
            return Err(Error::damaged(None, verdict));
        }
    }
    let head = head_full(conn)?;
    check_index(conn, &head)?;
    check_lanes(conn, &head)?;
    if head.control_epoch > head.lane(CONTROL_LANE) {
        return Err(Error::damaged(None, "the control epoch is ahead of the control lane"));
    }
    Ok(())
}

/// Dense from 0: as many events as the head says, the first at 0, the last just below the head.
fn check_index(conn: &Connection, head: &Head) -> Result<(), Error> {
    let (count, first, last): (i64, Option<i64>, Option<i64>) = conn.query_row(
        "SELECT (SELECT count(*) FROM events), (SELECT min(idx) FROM events), (SELECT max(idx) FROM events)",
        [],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    let next = last.map_or(Ok(0), |last| number(last).map(|last| last + 1))?;
    if next != head.next_index {
        let why =
            format!("the head says that index {} is next, the events end before {next}", head.next_index);
        return Err(Error::damaged(next.min(head.next_index), why));
    }
    if number(count)? != next || first.is_some_and(|first| first != 0) {
        return Err(Error::damaged(first_gap(conn)?, format!("{count} events stand where {next} should")));
    }
    Ok(())
}

fn first_gap(conn: &Connection) -> Result<Option<u64>, Error> {
    let gap: Option<i64> = conn.query_row(
        "SELECT min(place) FROM (SELECT idx, row_number() OVER (ORDER BY idx) - 1 AS place FROM events)
         WHERE idx <> place",
        [],
        |row| row.get(0),
    )?;
    gap.map(number).transpose()
}

fn check_lanes(conn: &Connection, head: &Head) -> Result<(), Error> {
    let mut statement =
        conn.prepare("SELECT lane, count(*), min(lane_seq), max(lane_seq) FROM events GROUP BY lane")?;
    let mut rows = statement.query([])?;
    let mut lanes = 0;
    while let Some(row) = rows.next()? {
        let lane: u16 = row.get(0)?;
        let (count, first, last) = (number(row.get(1)?)?, number(row.get(2)?)?, number(row.get(3)?)?);
        if first != 1 || count != last || last != head.lane(lane) {
            let why = format!(
                "lane {lane} holds {count} events from {first} to {last}, its head is {}",
                head.lane(lane)
            );
            return Err(Error::damaged(None, why));
        }
        lanes += 1;
    }
    if lanes != head.lanes.len() {
        return Err(Error::damaged(None, "a lane has a head and no events"));
    }
    Ok(())
}
