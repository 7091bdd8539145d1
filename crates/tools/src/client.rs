//! The HTTP client of all reaches: only checked addresses, bounded heads, no redirect followed.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::error::Error;
use crate::resolve::{PrivateAddress, Resolver};

/// An answer's head, and one read, are held to this.
const BUFFER_BYTES_MAX: usize = 64 * 1024;
const HEADERS_MAX: usize = 64;

pub(crate) type Connector = HttpsConnector<HttpConnector<Resolver>>;
pub(crate) type Wire = Client<Connector, Full<Bytes>>;

pub(crate) fn connector(connect_timeout: Duration, resolver: Resolver) -> Result<Connector, Error> {
    let mut tcp = HttpConnector::new_with_resolver(resolver);
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(connect_timeout));
    Ok(HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(rustls::crypto::aws_lc_rs::default_provider())?
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp))
}

/// A client that keeps this many idle connections for each server, for this long.
pub(crate) fn wire(connector: Connector, idle_max: usize, idle: Duration) -> Wire {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(idle)
        .pool_max_idle_per_host(idle_max)
        .http1_max_buf_size(BUFFER_BYTES_MAX)
        .http1_max_headers(HEADERS_MAX)
        .build(connector)
}

/// Whether it failed because a name led to an address that names may not lead to.
pub(crate) fn is_private(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let resolver = error.downcast_ref::<crate::resolve::Error>();
        if matches!(resolver, Some(crate::resolve::Error::Private(PrivateAddress))) {
            return true;
        }
        next = error.source();
    }
    false
}
