//! What an append costs: rows a second by batch size, beside bare SQLite writing the same bytes.

use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use ledger::sqlite::{Options, Sqlite};
use ledger::{Batch, Entry, Log};
use rusqlite::{Connection, params};

const ENTRY_BYTES: usize = 400;
const TIME_EACH: Duration = Duration::from_secs(2);

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout();
    writeln!(out, "{ENTRY_BYTES} bytes an entry, synced at each commit")?;
    writeln!(out, "{:>6} {:>14} {:>14} {:>8}", "batch", "ledger rows/s", "floor rows/s", "ratio")?;
    for size in [1, 16, 64, 256] {
        // On the folder given, since a temporary folder may be memory, where a sync costs nothing.
        let parent = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
        let folder = tempfile::tempdir_in(parent)?;
        let ledger = ledger_rate(&folder.path().join("ledger"), size)?;
        let floor = floor_rate(&folder.path().join("floor.db"), size)?;
        writeln!(out, "{size:>6} {ledger:>14.0} {floor:>14.0} {:>8.2}", ledger / floor)?;
    }
    Ok(())
}

fn ledger_rate(folder: &Path, size: u64) -> Result<f64, Box<dyn Error>> {
    let mut log = Sqlite::open(folder, &Options::default())?;
    rate(size, |first| {
        let entry = |seq| Entry {
            lane: 1,
            lane_seq: seq + 1,
            time_ms: seq,
            bytes: vec![b'x'; ENTRY_BYTES],
            bumps_epoch: false,
            payloads: vec![],
        };
        let entries = (first..first + size).map(entry).collect();
        log.append(&Batch { entries, control_head: Some(0) })?;
        Ok(())
    })
}

fn floor_rate(path: &Path, size: u64) -> Result<f64, Box<dyn Error>> {
    let mut conn = Connection::open(path)?;
    conn.pragma_update(None, "journal_mode", "wal")?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.execute_batch("CREATE TABLE events (idx INTEGER PRIMARY KEY, bytes BLOB NOT NULL)")?;
    rate(size, |first| {
        let tx = conn.transaction()?;
        for index in first..first + size {
            let bytes = vec![b'x'; ENTRY_BYTES];
            tx.prepare_cached("INSERT INTO events VALUES (?1, ?2)")?
                .execute(params![i64::try_from(index)?, bytes])?;
        }
        tx.commit()?;
        Ok(())
    })
}

fn rate(size: u64, mut write: impl FnMut(u64) -> Result<(), Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    let start = Instant::now();
    let mut rows = 0;
    while start.elapsed() < TIME_EACH {
        write(rows)?;
        rows += size;
    }
    Ok(rows as f64 / start.elapsed().as_secs_f64())
}
