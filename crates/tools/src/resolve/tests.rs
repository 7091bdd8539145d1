//! Which addresses may be connected to.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

#[test]
fn public_and_other_addresses() {
    for address in ["8.8.8.8", "1.1.1.1", "100.63.0.1", "172.32.0.1", "223.255.255.255", "2606:4700::1111"] {
        assert!(is_public(address.parse().unwrap()), "{address}");
    }
    for address in [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "64:ff9b::7f00:1",
        "fc00::1",
        "fd12::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "3fff::1",
    ] {
        assert!(!is_public(address.parse().unwrap()), "{address}");
    }
}

fn found(addresses: &[&str]) -> Vec<SocketAddr> {
    addresses.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 0)).collect()
}

#[test]
fn one_bad_address_refuses_them_all() {
    assert!(check("api.example.com", found(&["8.8.8.8", "2606:4700::1111"])).is_ok());
    assert!(check("api.example.com", found(&["8.8.8.8", "127.0.0.1"])).is_err());
    assert!(check("localhost", found(&["127.0.0.1", "::1"])).is_ok());
    assert!(check("localhost", found(&["127.0.0.1", "8.8.8.8"])).is_err());
    assert!(check("localhost", found(&["10.0.0.1"])).is_err());
    assert!(check("localhost.example.com", found(&["127.0.0.1"])).is_err());
}

#[tokio::test]
async fn a_name_that_flips_is_refused_when_it_flips() {
    let asked = AtomicUsize::new(0);
    let mut resolver = Resolver::new(Arc::new(move |_| {
        let turn = asked.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move { Ok(found(if turn == 0 { &["8.8.8.8"] } else { &["127.0.0.1"] })) })
    }));
    let name: Name = "flip.example.com".parse().unwrap();
    assert_eq!(resolver.call(name.clone()).await.unwrap().collect::<Vec<_>>(), found(&["8.8.8.8"]));
    assert!(matches!(resolver.call(name).await, Err(Error::Private(PrivateAddress))));
}
