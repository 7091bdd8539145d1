//! A Remit that a wrapped client has started ends by itself when nobody needs it any more.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

use gate::Gate;
use tokio::time::{Instant, sleep};

use crate::private;

/// Shared by all wrapped clients of a data folder for as long as they live, in whatever way they end.
const WRAPPED: &str = "wrapped";
/// How often it is looked at whether anybody is there.
const LOOK_MAX: Duration = Duration::from_secs(15);

/// Says that a wrapped client lives. Waits while a Remit that was not needed is leaving.
pub(super) fn hold(data: &Path) -> io::Result<File> {
    let file = private::open(&data.join(WRAPPED))?;
    file.lock_shared()?;
    Ok(file)
}

/// Returns when no wrapped client has lived and nothing has happened for this long. No client comes to a Remit that is
/// leaving: it waits for the lock that this gives, and finds none.
pub(super) async fn over(gate: &Gate, data: &Path, idle: Duration) -> io::Result<File> {
    let file = private::open(&data.join(WRAPPED))?;
    let (mut since, mut head) = (Instant::now(), gate.counts().head_index);
    loop {
        sleep((idle / 4).min(LOOK_MAX)).await;
        let counts = gate.counts();
        let is_alone = match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(error)) => return Err(error),
        };
        if !is_alone || counts.in_flight > 0 || counts.head_index != head {
            (since, head) = (Instant::now(), counts.head_index);
        }
        if since.elapsed() >= idle {
            return Ok(file);
        }
        if is_alone {
            file.unlock()?;
        }
    }
}
