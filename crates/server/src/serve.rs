//! Connections: how many, how long they may dawdle, and how they end.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

/// Connections of one listener; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 4096;
/// For a whole head to arrive, and for a kept connection to ask again.
const HEAD_WAIT: Duration = Duration::from_secs(30);
const HEADERS_MAX: usize = 64;
/// A head is refused beyond this, and a body is read in pieces of at most this.
const BUFFER_BYTES_MAX: usize = 64 << 10;
/// Answers under way when Remit stops are waited for this long.
const DRAIN_WAIT: Duration = Duration::from_secs(10);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop` turns true, then lets what is under way finish.
pub async fn serve(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    let seats = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let arrived = tokio::select! {
            arrived = arrival(&listener, &seats) => arrived,
            () = stopped(&mut stop) => break,
        };
        while connections.try_join_next().is_some() {}
        if let Some((stream, seat)) = arrived {
            connections.spawn(connection(stream, router.clone(), stop.clone(), seat));
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_WAIT, drained).await.is_err() {
        tracing::warn!("some answers were cut off");
    }
}

async fn arrival(
    listener: &TcpListener,
    seats: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let seat = seats.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, seat)),
        Err(error) => {
            // Out of file descriptors, mostly: to try again at once would only burn the processor.
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn connection(
    stream: TcpStream,
    router: Router,
    mut stop: watch::Receiver<bool>,
    _seat: OwnedSemaphorePermit,
) {
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(router);
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(BUFFER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = std::pin::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = stopped(&mut stop) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}

/// Returns when `stop` is true, or when nobody is left who could make it so.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it whoever runs this server.
    let _ = stop.wait_for(|stop| *stop).await;
}
