//! Which addresses connections may lead to.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    task::{Context, Poll},
    vec,
};

use futures_util::future::BoxFuture;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tower_service::Service;

use super::connector::{BoxError, ConnectError};

/// Which addresses connections may lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// All: whoever named them runs the server.
    Anywhere,
    /// Those of the internet: not this machine, nor the network it is in.
    ///
    /// An address that the network in front of this machine translates to it cannot be told from anybody else's.
    Internet,
}

impl Reach {
    /// # Errors
    /// [`ConnectError::Private`] for an address beyond this reach.
    pub(super) fn check(self, address: IpAddr) -> Result<(), ConnectError> {
        match self {
            Self::Internet if !is_public(address) => Err(ConnectError::Private(address)),
            Self::Anywhere | Self::Internet => Ok(()),
        }
    }

    /// The same for a connection that has come about: an address of the internet may be this machine's own, whatever listens there.
    ///
    /// # Errors
    /// [`ConnectError::Private`] for a connection that leads beyond this reach.
    pub(super) fn check_connection(self, peer: IpAddr, local: IpAddr) -> Result<(), ConnectError> {
        self.check(peer)?;
        match self {
            Self::Internet if peer.to_canonical() == local.to_canonical() => {
                Err(ConnectError::Private(peer))
            }
            Self::Anywhere | Self::Internet => Ok(()),
        }
    }
}

/// Names to addresses, without those that are beyond reach: what a name stands for is looked at here, at the one look-up that the
/// connection is made with.
#[derive(Clone)]
pub(super) struct Resolver {
    names: GaiResolver,
    reach: Reach,
}

impl Resolver {
    pub(super) fn new(reach: Reach) -> Self {
        let names = GaiResolver::new();
        Self { names, reach }
    }
}

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.names.poll_ready(context).map_err(BoxError::from)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (found, reach) = (self.names.call(name), self.reach);
        Box::pin(async move { Ok(within(reach, found.await?.collect())?.into_iter()) })
    }
}

/// The addresses that may be used; an error when none of those there are.
fn within(reach: Reach, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, ConnectError> {
    let mut refused = None;
    let mut usable = Vec::with_capacity(found.len());
    for address in found {
        match reach.check(address.ip()) {
            Ok(()) => usable.push(address),
            Err(error) => refused = Some(error),
        }
    }
    match refused {
        Some(error) if usable.is_empty() => Err(error),
        Some(_) | None => Ok(usable),
    }
}

/// Whether an address is one of the internet, where everybody means the same machine by it.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let is_special = match address.octets() {
        [0 | 10 | 127 | 224.., ..]
        | [169, 254, ..]
        | [172, 16..=31, ..]
        | [192, 168, ..]
        // What a cloud's machines find their host under.
        | [168, 63, 129, 16]
        // Between providers and their customers.
        | [100, 64..=127, ..]
        // Protocols, relays, examples, measurements.
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => true,
        _ => false,
    };
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        // A network that has no IPv4 of its own reaches it by these.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => embedded(high, low),
        // Protocols, tunnels and examples.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        [first, ..] => (0x2000..0x4000).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_and_its_network_are_not_the_internet() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.0.1",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:168.63.129.16",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::808:808",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.1",
            "168.63.129.17",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "192.167.1.1",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2001:4860:4860::8888",
            "2606:4700::1111",
            "2002:808:808::",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn a_public_address_of_this_machine_is_this_machine() {
        for (peer, local, reaches) in [
            ("1.1.1.1", "1.1.1.1", false),
            ("::ffff:1.1.1.1", "1.1.1.1", false),
            ("2606:4700::1111", "2606:4700::1111", false),
            ("127.0.0.1", "1.1.1.1", false),
            ("1.1.1.1", "8.8.8.8", true),
            ("1.1.1.1", "10.0.0.5", true),
        ] {
            let [peer, local] = [peer, local].map(|text| text.parse().unwrap());
            let checked = Reach::Internet.check_connection(peer, local);
            assert_eq!(checked.is_ok(), reaches, "{peer} from {local}");
            assert!(Reach::Anywhere.check_connection(peer, local).is_ok());
        }
    }

    #[test]
    fn of_a_name_with_several_addresses_those_of_the_internet_are_used() {
        let addresses = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let mixed = addresses(&["10.0.0.1:80", "1.1.1.1:80", "[::1]:80"]);
        assert_eq!(
            within(Reach::Internet, mixed.clone()).unwrap(),
            addresses(&["1.1.1.1:80"])
        );
        assert_eq!(within(Reach::Anywhere, mixed.clone()).unwrap(), mixed);
        let private = addresses(&["127.0.0.1:80"]);
        assert!(matches!(
            within(Reach::Internet, private),
            Err(ConnectError::Private(_))
        ));
    }
}
