//! The drive: what happens by itself. Overdue calls and runs end, floods are counted, the disk is watched, and a log
//! that failed is tried again.

use std::sync::atomic::Ordering;
use std::time::Duration;

use kernel::command::Command;
use tokio::sync::oneshot;

use crate::control::ControlMessage;
use crate::gate::Gate;

const TICK: Duration = Duration::from_secs(1);

pub(crate) fn start(gate: Gate) {
    tokio::spawn(async move {
        let mut stop = gate.0.stop.subscribe();
        loop {
            tokio::select! {
                () = tokio::time::sleep(TICK) => gate.tick().await,
                _ = stop.changed() => return,
            }
        }
    });
}

impl Gate {
    async fn tick(&self) {
        if self.is_closed() {
            self.recover().await;
            return;
        }
        self.watch_disk();
        for lane in 0..self.lane_count() {
            let swept = self.ask_lane(lane, Command::Sweep, Vec::new()).await;
            if swept.is_ok_and(|swept| !swept.receipts.is_empty()) {
                self.0.waits.tell_all();
                self.kick_all();
            }
        }
        self.release_ready();
        self.lift_overdue().await;
        self.count_floods().await;
        self.snapshot_when_due();
    }

    fn watch_disk(&self) {
        // A disk that cannot be asked is not known to be full; a failed commit will tell.
        let Ok(free) = ledger::free_bytes(&self.0.folder) else { return };
        let low = free < self.0.disk_reserve_bytes;
        if self.0.disk_low.swap(low, Ordering::Relaxed) != low {
            tracing::warn!(free_bytes = free, low, "disk space");
        }
    }

    async fn recover(&self) {
        let (done, wait) = oneshot::channel();
        if self.0.control.try_send(ControlMessage::Recover { done }).is_ok()
            && let Ok(Err(error)) = wait.await
        {
            tracing::error!(%error, "the log cannot be folded again yet");
        }
    }
}
