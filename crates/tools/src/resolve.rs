//! Names to addresses: resolved once, every address checked, and only a checked one is connected to.
//!
//! An address that the operator wrote literally never comes here: the connector takes it as it stands.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::Name;
use thiserror::Error as ThisError;
use tower::Service;

/// More addresses than this are not tried.
const ADDRESSES_MAX: usize = 16;

pub(crate) type Looking = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;
pub(crate) type Lookup = Arc<dyn Fn(String) -> Looking + Send + Sync>;

/// A name led to an address that names may not lead to.
#[derive(Debug, ThisError)]
#[error("the name leads to an address that is not public")]
pub(crate) struct PrivateAddress;

#[derive(Debug, ThisError)]
pub(crate) enum Error {
    #[error(transparent)]
    Private(#[from] PrivateAddress),
    #[error("the name cannot be resolved")]
    Lookup(#[from] io::Error),
}

/// The resolver inside the connector: what it returns is what is connected to, so nothing is resolved twice.
#[derive(Clone)]
pub(crate) struct Resolver {
    lookup: Lookup,
}

impl Resolver {
    pub(crate) fn new(lookup: Lookup) -> Resolver {
        Resolver { lookup }
    }

    /// The machine's own resolver.
    pub(crate) fn system() -> Resolver {
        Resolver::new(Arc::new(|name| {
            Box::pin(async move {
                let found = tokio::net::lookup_host((name, 0)).await?;
                Ok(found.take(ADDRESSES_MAX).collect())
            })
        }))
    }
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let name = name.as_str().to_ascii_lowercase();
        let looking = (self.lookup)(name.clone());
        Box::pin(async move { Ok(check(&name, looking.await?)?.into_iter()) })
    }
}

/// One bad address refuses them all: a name that also points inside is not to be trusted.
fn check(name: &str, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, PrivateAddress> {
    let may = |address: IpAddr| if name == "localhost" { address.is_loopback() } else { is_public(address) };
    if found.iter().all(|socket| may(socket.ip())) { Ok(found) } else { Err(PrivateAddress) }
}

/// Whether an address belongs to the public internet, and to nothing else.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224.., _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18..=19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !special
}

/// Global unicast only; so mapped, translated, unique-local and link-local addresses are out from the start.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let global = first & 0xe000 == 0x2000;
    let special = match first {
        // Protocol assignments with Teredo; documentation.
        0x2001 => second < 0x0200 || second == 0x0db8,
        // 6to4, which hides an address of version 4.
        0x2002 => true,
        0x3fff => second < 0x1000,
        _ => false,
    };
    global && !special
}

#[cfg(test)]
mod tests;
