//! What only a file can do: be locked, reopened, upgraded, tampered with, filled up.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;

use super::{Options, Sqlite, files, open_read_only, schema};
use crate::tests::{batch, bump, entry, payload};
use crate::{Entry, Error, Log, Read};

fn open(folder: &Path) -> Result<Sqlite, Error> {
    Sqlite::open(folder, &Options::default())
}

/// Writes to the file behind the log's back.
fn tamper(folder: &Path, sql: &str) {
    Connection::open(files::database(folder)).unwrap().execute_batch(sql).unwrap();
}

fn filled(folder: &Path) {
    let mut log = open(folder).unwrap();
    let last = Entry { payloads: vec![payload("a body")], ..entry(2, 1) };
    log.append(&batch(&[bump(1), entry(1, 1), entry(1, 2), last])).unwrap();
}

#[test]
fn a_reopened_log_holds_everything() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let mut log = open(folder.path()).unwrap();
    let mut reader = log.reader().unwrap();
    assert_eq!(reader.head().unwrap().next_index, 4);
    assert_eq!(reader.head().unwrap().control_epoch, 1);
    assert_eq!(reader.payload(3, &payload("a body").commitment).unwrap(), b"a body");
    assert_eq!(log.append(&batch(&[entry(2, 2)])).unwrap()[0].index, 4);
}

#[test]
fn the_folder_and_its_files_are_for_the_owner_alone() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("a/b");
    let mut log = open(&folder).unwrap();
    log.append(&batch(&[entry(1, 1)])).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for file in std::fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn a_second_opener_is_told_who_holds_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).unwrap();
    let holder = Some(std::process::id());
    assert!(matches!(open(folder.path()), Err(Error::Locked { holder: h }) if h == holder));
    drop(log);
    open(folder.path()).unwrap();
}

#[test]
fn an_offline_reader_needs_no_lock_and_cannot_write() {
    let folder = tempfile::tempdir().unwrap();
    assert!(open_read_only(folder.path()).is_err());
    filled(folder.path());
    let log = open(folder.path()).unwrap();
    let mut reader = open_read_only(folder.path()).unwrap();
    assert_eq!(reader.read(0, 10).unwrap().len(), 4);
    assert!(reader.conn_for_tests().execute("DELETE FROM events", []).is_err());
    drop(log);
}

#[test]
fn events_that_were_taken_away_are_noticed_at_open_and_while_reading() {
    let cases = [
        ("DELETE FROM events WHERE idx = 3", Some(3)),
        ("DELETE FROM events WHERE idx = 1", Some(1)),
        ("UPDATE log_head SET next_index = 3", Some(3)),
        ("UPDATE lanes SET head = 7 WHERE lane = 1", None),
        ("UPDATE events SET lane_seq = 5 WHERE idx = 2", None),
        ("UPDATE log_head SET control_epoch = 9", None),
        ("INSERT INTO lanes VALUES (9, 1)", None),
        ("DELETE FROM log_head", None),
    ];
    for (sql, at) in cases {
        let folder = tempfile::tempdir().unwrap();
        filled(folder.path());
        tamper(folder.path(), sql);
        let Err(Error::Damaged { index, why }) = open(folder.path()) else { panic!("missed: {sql}") };
        assert_eq!(index, at, "{sql}: {why}");
    }
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let mut reader = open_read_only(folder.path()).unwrap();
    tamper(folder.path(), "DELETE FROM events WHERE idx = 2");
    assert!(matches!(reader.read(0, 10), Err(Error::Damaged { index: Some(2), .. })));
}

#[test]
fn a_changed_payload_is_damage() {
    let changes = ["body = CAST('a b0dy' AS BLOB)", "salt = NULL", "tag = 'other'", "salt = x'00'"];
    for change in changes {
        let folder = tempfile::tempdir().unwrap();
        filled(folder.path());
        tamper(folder.path(), &format!("UPDATE payloads SET {change}"));
        let mut reader = open_read_only(folder.path()).unwrap();
        let read = reader.payload(3, &payload("a body").commitment);
        assert!(matches!(read, Err(Error::Damaged { .. })), "{change}");
    }
}

#[test]
fn a_torn_file_and_a_strangers_file_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let path = files::database(folder.path());
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(matches!(open(folder.path()), Err(Error::Damaged { .. })));
    std::fs::write(&path, [b'x'; 8192]).unwrap();
    assert!(matches!(open(folder.path()), Err(Error::Damaged { .. })));

    let folder = tempfile::tempdir().unwrap();
    tamper(folder.path(), "CREATE TABLE recipes (name TEXT)");
    assert!(matches!(open(folder.path()), Err(Error::Damaged { .. })));
}

#[test]
fn erased_bytes_are_in_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let holds = |needle: &[u8]| {
        let files = std::fs::read_dir(folder.path()).unwrap();
        files
            .map(|file| std::fs::read(file.unwrap().path()).unwrap())
            .any(|bytes| bytes.windows(needle.len()).any(|window| window == needle))
    };
    let mut log = open(folder.path()).unwrap();
    // One body fits a page, the other spills over many.
    let (short, long) = (payload("a private matter"), payload(&"an affair of state ".repeat(3000)));
    let both = Entry { payloads: vec![short.clone(), long.clone()], ..entry(1, 1) };
    log.append(&batch(&[both])).unwrap();
    assert!(holds(b"a private matter") && holds(b"an affair of state"));
    log.erase(0, &short.commitment).unwrap();
    log.erase(0, &long.commitment).unwrap();
    assert!(!holds(b"a private matter") && !holds(b"an affair of state"));
    assert!(!log.scrub_due);
}

#[test]
fn a_file_of_the_first_schema_is_upgraded_with_its_events() {
    let folder = tempfile::tempdir().unwrap();
    {
        let mut conn = Connection::open(files::database(folder.path())).unwrap();
        schema::migrate_one(&mut conn, 1, schema::MIGRATIONS[0]).unwrap();
        conn.execute_batch(
            "INSERT INTO events VALUES (0, 1, 1, 5, x'6f6c64'); INSERT INTO lanes VALUES (1, 1);
             UPDATE log_head SET next_index = 1;",
        )
        .unwrap();
        assert!(conn.prepare("SELECT * FROM snapshots").is_err());
    }
    let mut log = open(folder.path()).unwrap();
    log.put_snapshot("lane-1", 1, b"state").unwrap();
    let mut reader = log.reader().unwrap();
    assert_eq!(reader.read(0, 1).unwrap()[0].bytes, b"old");
    let version = "SELECT value FROM meta WHERE key = 'schema_version'";
    let version: String = log.conn.query_row(version, [], |row| row.get(0)).unwrap();
    assert_eq!(version, schema::MIGRATIONS.len().to_string());
}

#[test]
fn a_newer_schema_is_refused_and_left_untouched() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    tamper(folder.path(), "PRAGMA user_version = 99");
    let before = std::fs::read(files::database(folder.path())).unwrap();
    let Err(error) = open(folder.path()) else { panic!("opened a newer schema") };
    assert!(matches!(error, Error::SchemaTooNew { found: 99, .. }));
    assert!(error.to_string().contains("run the newer build"));
    assert!(matches!(open_read_only(folder.path()), Err(Error::SchemaTooNew { .. })));
    assert_eq!(std::fs::read(files::database(folder.path())).unwrap(), before);
}

#[test]
fn a_full_disk_refuses_whole_batches_and_heals() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path()).unwrap();
    let pages: i64 = log.conn.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    let set_max = |log: &Sqlite, pages: i64| {
        log.conn.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
    };
    set_max(&log, pages + 4);
    let big = |seq| Entry { bytes: vec![1; 4000], payloads: vec![payload("beside")], ..entry(1, seq) };
    let many = batch(&(1..20).map(big).collect::<Vec<_>>());
    assert!(matches!(log.append(&many), Err(Error::Full)));
    assert!(log.conn.is_autocommit());
    assert_eq!(log.reader().unwrap().head().unwrap().next_index, 0);
    assert!(matches!(log.append(&many), Err(Error::Full)));
    set_max(&log, 1 << 20);
    assert_eq!(log.append(&many).unwrap().len(), 19);
    drop(log);
    assert_eq!(open(folder.path()).unwrap().reader().unwrap().head().unwrap().next_index, 19);
}

#[test]
fn readers_see_whole_batches_only() {
    const BATCHES: u64 = 60;
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path()).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let mut reader = log.reader().unwrap();
            let done = &done;
            scope.spawn(move || {
                while !done.load(Ordering::Acquire) {
                    let head = reader.head().unwrap();
                    assert_eq!(head.next_index % 8, 0);
                    assert_eq!(head.lane(1) + head.lane(2), head.next_index);
                    assert_eq!(reader.read(0, 1000).unwrap().len() % 8, 0);
                }
            });
        }
        for round in 0..BATCHES {
            let seqs = round * 4 + 1..round * 4 + 5;
            let entries: Vec<Entry> = seqs.flat_map(|seq| [entry(1, seq), entry(2, seq)]).collect();
            log.append(&batch(&entries)).unwrap();
        }
        done.store(true, Ordering::Release);
    });
    assert_eq!(log.reader().unwrap().head().unwrap().next_index, BATCHES * 8);
}

/// Append-only is kept by having no statement that changes an event; this finds one that somebody adds.
#[test]
fn no_statement_changes_an_event() {
    let sources = [include_str!("write.rs"), include_str!("read.rs"), include_str!("../sqlite.rs")];
    for source in sources {
        let words = source.split_whitespace().collect::<Vec<_>>().join(" ");
        for verb in ["UPDATE events", "DELETE FROM", "REPLACE INTO", "OR REPLACE", "DROP TABLE"] {
            assert!(!words.contains(verb), "`{verb}` has no place in the log");
        }
    }
}

#[test]
fn free_space_is_counted() {
    assert!(crate::free_bytes(Path::new("/")).unwrap() > 0);
    assert!(crate::free_bytes(Path::new("/no/such/folder")).is_err());
}
