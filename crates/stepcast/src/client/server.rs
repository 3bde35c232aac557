//! Where the server is, and how paths of it are written.

use std::fmt::{self, Write};

use hyper::Uri;
use stepcast_protocol::ErrorCode;

use crate::error::Error;

/// A server's address: `http://<host>[:<port>][/<prefix>]`.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Server {
    /// Without a slash at its end.
    base: String,
}

impl Server {
    /// Reads an address.
    pub(super) fn parse(url: &str) -> Result<Self, Error> {
        let refused = |why: &str| {
            let text = format!(
                "server `{url}` is no address of one: {why}; give it as `http://127.0.0.1:8288`"
            );
            Err(Error::coded(ErrorCode::BadRequest, text).terminal())
        };
        let uri: Uri = match url.parse() {
            Ok(uri) => uri,
            Err(error) => return refused(&error.to_string()),
        };
        match uri.scheme_str() {
            Some("http") => {}
            Some("https" | "wss") => {
                return refused("this build has no TLS; connect to a proxy on this machine");
            }
            Some(_) => return refused("its scheme is not `http`"),
            None => return refused("it has no scheme"),
        }
        if uri.host().is_none_or(str::is_empty) {
            return refused("it names no host");
        }
        if uri.query().is_some() {
            return refused("it has a query");
        }
        let base = url.trim_end_matches('/').to_owned();
        Ok(Self { base })
    }

    /// The address of a route. `{name}`s in it are filled with the values, in their order.
    pub(super) fn url(&self, route: &str, values: &[&str]) -> String {
        let mut url = self.base.clone();
        let mut values = values.iter();
        for part in route.split_inclusive('/') {
            if !part.starts_with('{') {
                url.push_str(part);
                continue;
            }
            if let Some(value) = values.next() {
                escape(&mut url, value);
            }
            if part.ends_with('/') {
                url.push('/');
            }
        }
        url
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.base, f)
    }
}

/// Adds a query to an address.
pub(super) fn with_query(mut url: String, pairs: &[(&str, &str)]) -> String {
    for (index, (name, value)) in pairs.iter().enumerate() {
        url.push(if index == 0 { '?' } else { '&' });
        url.push_str(name);
        url.push('=');
        escape(&mut url, value);
    }
    url
}

/// Writes a text so that nothing in it has a meaning in a URL.
fn escape(url: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                url.push(char::from(byte));
            }
            other => write!(url, "%{other:02X}").expect("a string takes everything"),
        }
    }
}

#[cfg(test)]
mod tests {
    use stepcast_protocol::paths;

    use super::*;

    #[test]
    fn addresses_are_http_and_name_a_host() {
        for url in [
            "http://127.0.0.1:8288",
            "http://[::1]:8288/",
            "http://localhost/stepcast/",
        ] {
            assert!(Server::parse(url).is_ok(), "{url}");
        }
        for (url, part) in [
            ("", "server `` is no address"),
            ("127.0.0.1:8288", "no address"),
            ("localhost", "it has no scheme"),
            ("ftp://localhost", "its scheme is not `http`"),
            ("http://localhost/?x=1", "it has a query"),
            ("https://example.com", "no TLS"),
        ] {
            let error = Server::parse(url).unwrap_err();
            assert!(error.message().contains(part), "{url}: {error}");
            assert!(error.message().contains(url) && error.is_terminal());
        }
    }

    #[test]
    fn values_keep_their_characters() {
        let server = Server::parse("http://h/base/").unwrap();
        let url = server.url(paths::CHANNEL, &["chat:1/ü&?"]);
        assert_eq!(url, "http://h/base/v1/channels/chat%3A1%2F%C3%BC%26%3F");
        let url = server.url(paths::RERUN, &["01K/"]);
        assert_eq!(url, "http://h/base/v1/runs/01K%2F/rerun");
        let url = with_query(
            server.url(paths::PUBLISH, &[]),
            &[("channel", "a b"), ("topic", "t")],
        );
        assert_eq!(
            url,
            "http://h/base/v1/realtime/publish?channel=a%20b&topic=t"
        );
    }
}
