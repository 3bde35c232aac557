//! Connections: TCP without delay, with TLS for `https`, each within the connect timeout, none to this server itself and none beyond reach.

use std::{
    error::Error as StdError,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::http::Uri;
use futures_util::future::BoxFuture;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower_service::Service;

use super::reach::{Reach, Resolver};

pub(super) type BoxError = Box<dyn StdError + Send + Sync>;
type Plain = TokioIo<TcpStream>;

/// Why we do not connect, beyond what the system says.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum ConnectError {
    #[error(
        "{0} is this server itself; give the URL of the app, e.g. http://localhost:3000/api/inngest"
    )]
    Itself(SocketAddr),
    #[error(
        "{0} is an address of this machine or its network, which functions have no requests made to in production; make the request inside \
         `step.run`"
    )]
    Private(IpAddr),
    #[error("it took too long to connect")]
    TimedOut,
    #[error("https cannot be used here: {0}")]
    NoTls(Arc<str>),
}

impl ConnectError {
    /// The one among the causes of an error.
    pub(super) fn of<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Self> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(own) = error.downcast_ref() {
                return Some(own);
            }
            cause = error.source();
        }
        None
    }
}

/// Makes connections.
#[derive(Clone)]
pub(super) struct Connector {
    plain: Elsewhere,
    tls: Result<HttpsConnector<Elsewhere>, Arc<str>>,
    timeout: Duration,
}

impl Connector {
    pub(super) fn new(
        own: Vec<SocketAddr>,
        reach: Reach,
        timeout: Duration,
        tls: Result<ClientConfig, String>,
    ) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver::new(reach));
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(timeout));
        let own = own.into();
        let plain = Elsewhere { tcp, own, reach };
        let with_tls = |config| {
            HttpsConnectorBuilder::new()
                .with_tls_config(config)
                .https_only()
                .enable_http1()
                .wrap_connector(plain.clone())
        };
        Self {
            tls: tls.map(with_tls).map_err(Arc::from),
            plain,
            timeout,
        }
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<Plain>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.plain.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let timeout = self.timeout;
        let connect: Self::Future = match (uri.scheme_str() == Some("https"), &mut self.tls) {
            (false, _) => {
                let plain = self.plain.call(uri);
                Box::pin(async move { Ok(MaybeHttpsStream::Http(plain.await?)) })
            }
            (true, Ok(tls)) => Box::pin(tls.call(uri)),
            (true, Err(cause)) => {
                let error = ConnectError::NoTls(Arc::clone(cause));
                Box::pin(async move { Err(error.into()) })
            }
        };
        Box::pin(async move {
            match tokio::time::timeout(timeout, connect).await {
                Ok(connected) => connected,
                Err(_) => Err(ConnectError::TimedOut.into()),
            }
        })
    }
}

/// TCP connections to others.
#[derive(Clone)]
struct Elsewhere {
    tcp: HttpConnector<Resolver>,
    own: Arc<[SocketAddr]>,
    reach: Reach,
}

impl Service<Uri> for Elsewhere {
    type Response = Plain;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Plain, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(ready!(self.tcp.poll_ready(context))?))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        // An address that stands in the URL itself is never looked up.
        let address = uri.host().and_then(address);
        if let Some(Err(beyond)) = address.map(|address| self.reach.check(address)) {
            return Box::pin(async move { Err(beyond.into()) });
        }
        let (tcp, own, reach) = (self.tcp.call(uri), Arc::clone(&self.own), self.reach);
        Box::pin(async move {
            let stream = tcp.await?;
            let (peer, local) = (stream.inner().peer_addr()?, stream.inner().local_addr()?);
            if is_one_of(&own, peer, local) {
                return Err(ConnectError::Itself(peer).into());
            }
            reach.check_connection(peer.ip(), local.ip())?;
            Ok(stream)
        })
    }
}

/// Whether the peer of a connection from `local` is one of this machine's addresses. Names and proxies do not hide it: what counts is
/// where the connection has ended up.
fn is_one_of(own: &[SocketAddr], peer: SocketAddr, local: SocketAddr) -> bool {
    let (peer_ip, local_ip) = (peer.ip().to_canonical(), local.ip().to_canonical());
    let is_here = peer_ip == local_ip || peer_ip.is_loopback();
    own.iter().any(|own| {
        let ip = own.ip().to_canonical();
        own.port() == peer.port() && is_here && (ip.is_unspecified() || ip == peer_ip)
    })
}

/// The address that a host is, if it is no name.
fn address(host: &str) -> Option<IpAddr> {
    host.trim_matches(['[', ']']).parse().ok()
}

/// Whether a URL says one of these addresses itself, so that nobody has to connect to find out.
pub(super) fn names_one_of(own: &[SocketAddr], url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else {
        return false;
    };
    let host = uri.host().unwrap_or_default();
    let port = match (uri.port_u16(), uri.scheme_str()) {
        (Some(port), _) => port,
        (None, Some("https")) => 443,
        (None, _) => 80,
    };
    let address = match address(host) {
        Some(address) => address,
        None if host.eq_ignore_ascii_case("localhost") => Ipv4Addr::LOCALHOST.into(),
        None => return false,
    };
    let local = SocketAddr::new(address, 0);
    address.is_loopback() && is_one_of(own, SocketAddr::new(address, port), local)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use rustls::{
        RootCertStore, ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    };
    use tokio::net::TcpListener;

    use super::{super::tls, *};

    const LONG: Duration = Duration::from_secs(20);
    const ROOTS: &[u8] = include_bytes!("../../../tests/fixtures/tls/roots.pem");
    const CERTIFICATE: &[u8] = include_bytes!("../../../tests/fixtures/tls/certificate.pem");
    const KEY: &[u8] = include_bytes!("../../../tests/fixtures/tls/key.pem");

    /// A port on which handshakes are made.
    async fn https_server() -> u16 {
        let provider = Arc::new(tls::provider().unwrap());
        let certificate = CertificateDer::from_pem_slice(CERTIFICATE).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate],
                PrivateKeyDer::from_pem_slice(KEY).unwrap(),
            )
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                drop(acceptor.accept(stream).await);
            }
        });
        port
    }

    async fn connect(roots: RootCertStore, port: u16) -> Result<(), String> {
        let mut connector = Connector::new(Vec::new(), Reach::Anywhere, LONG, tls::trusting(roots));
        let uri = format!("https://localhost:{port}/").parse().unwrap();
        let connected = connector.call(uri).await;
        connected.map(drop).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn https_is_spoken_with_those_whose_root_is_trusted() {
        let port = https_server().await;
        let mut roots = RootCertStore::empty();
        let error = connect(roots.clone(), port).await.unwrap_err();
        assert!(error.contains("certificate"), "{error}");
        roots
            .add(CertificateDer::from_pem_slice(ROOTS).unwrap())
            .unwrap();
        assert_eq!(connect(roots, port).await, Ok(()));
    }

    #[tokio::test]
    async fn what_is_beyond_reach_is_not_connected_to_whatever_it_is_called() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let no_roots = || tls::trusting(RootCertStore::empty());
        let mut connector = Connector::new(Vec::new(), Reach::Internet, LONG, no_roots());
        for (scheme, host) in [
            ("http", "127.0.0.1"),
            ("http", "localhost"),
            ("https", "127.0.0.1"),
            ("https", "localhost"),
            ("http", "[::1]"),
            ("http", "[::ffff:127.0.0.1]"),
            ("http", "0.0.0.0"),
        ] {
            let uri = format!("{scheme}://{host}:{port}/").parse().unwrap();
            let error = connector.call(uri).await.map(drop).unwrap_err();
            let own = ConnectError::of(&*error);
            assert!(
                matches!(own, Some(ConnectError::Private(_))),
                "{host}: {error}"
            );
        }
        // Other ways to write it, which systems read differently.
        for host in ["127.1", "0x7f.0.0.1", "2130706433", "0177.0.0.1"] {
            let uri = format!("http://{host}:{port}/").parse().unwrap();
            assert!(connector.call(uri).await.is_err(), "{host}");
        }
        let none_came = listener.accept().now_or_never();
        assert!(none_came.is_none());
    }

    #[test]
    fn this_server_is_known_under_each_of_its_addresses() {
        for (own, peer, local, itself) in [
            ("127.0.0.1:8288", "127.0.0.1:8288", "127.0.0.1:50000", true),
            ("0.0.0.0:8288", "127.0.0.1:8288", "127.0.0.1:50000", true),
            ("[::]:8288", "[::1]:8288", "[::1]:50000", true),
            ("[::]:8288", "127.0.0.1:8288", "127.0.0.1:50000", true),
            ("0.0.0.0:8288", "10.0.0.5:8288", "10.0.0.5:50000", true),
            ("0.0.0.0:8288", "10.0.0.6:8288", "10.0.0.5:50000", false),
            ("127.0.0.1:8288", "127.0.0.1:3000", "127.0.0.1:50000", false),
            ("127.0.0.1:8288", "10.0.0.5:8288", "10.0.0.5:50000", false),
        ] {
            let [own, peer, local] = [own, peer, local].map(|text| text.parse().unwrap());
            assert_eq!(is_one_of(&[own], peer, local), itself, "{own} {peer}");
        }
        let own = ["0.0.0.0:8288".parse().unwrap()];
        for (url, itself) in [
            ("http://localhost:8288/api/inngest", true),
            ("http://127.0.0.1:8288/", true),
            ("http://[::1]:8288/", true),
            ("http://localhost:3000/", false),
            ("http://app.example:8288/", false),
            ("nonsense", false),
        ] {
            assert_eq!(names_one_of(&own, url), itself, "{url}");
        }
    }
}
