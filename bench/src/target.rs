//! Where the load goes: a `ws://`, `wss://` or `redis://` address taken apart.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Error, Result, ensure};

const SECURE_PREFIX: &str = "wss://";

/// The language that a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// FluxionDB's protocol over WebSocket.
    WebSocket,
    /// Redis' protocol.
    Redis,
}

impl Scheme {
    const ALL: [Self; 2] = [Self::WebSocket, Self::Redis];

    fn prefix(self) -> &'static str {
        match self {
            Self::WebSocket => "ws://",
            Self::Redis => "redis://",
        }
    }

    fn port_default(self) -> u16 {
        match self {
            Self::WebSocket => 80,
            Self::Redis => 6379,
        }
    }
}

/// A server's address and the path that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What is spoken there.
    pub scheme: Scheme,
    /// Whether TLS is spoken.
    pub secure: bool,
    /// Name or address; an IPv6 address without its brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Path and query; starts with `/`.
    pub path: String,
}

impl Target {
    /// The path with the key added to its query.
    pub fn path_with_key(&self, key: Option<&str>) -> String {
        let Some(key) = key else { return self.path.clone() };
        let joint = if self.path.contains('?') { '&' } else { '?' };
        let mut path = format!("{}{joint}api-key=", self.path);
        for byte in key.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    path.push(char::from(byte))
                }
                _ => path.push_str(&format!("%{byte:02X}")),
            }
        }
        path
    }

    /// Host and port as the `Host` header has them.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Target {
    type Err = Error;

    fn from_str(url: &str) -> Result<Self> {
        let spoken = |scheme: Scheme| Some((scheme, false, url.strip_prefix(scheme.prefix())?));
        let secure = || Some((Scheme::WebSocket, true, url.strip_prefix(SECURE_PREFIX)?));
        let (scheme, secure, rest) = Scheme::ALL
            .into_iter()
            .find_map(spoken)
            .or_else(secure)
            .context("the address must start with ws:// or wss://, or with redis:// to compare")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let path = path.split('#').next().unwrap_or_default();
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        ensure!(!authority.contains('@'), "the address must not hold a user name");
        ensure!(
            path.bytes().all(|byte| byte.is_ascii_graphic()),
            "the address's path must be printable ASCII without spaces"
        );
        let (host, port) = split_port(authority, if secure { 443 } else { scheme.port_default() })?;
        ensure!(!host.is_empty(), "the address has no host");
        Ok(Self { scheme, secure, host: host.to_owned(), port, path })
    }
}

fn split_port(authority: &str, port_default: u16) -> Result<(&str, u16)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').context("the address's '[' is not closed")?;
            (host, after.strip_prefix(':'))
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = match port {
        Some(port) => port.parse().with_context(|| format!("'{port}' is not a port"))?,
        None => port_default,
    };
    Ok((host, port))
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}{}",
            if self.secure { SECURE_PREFIX } else { self.scheme.prefix() },
            self.authority()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let cases = [
            ("ws://127.0.0.1:8080", "127.0.0.1", 8080, "/"),
            ("ws://localhost", "localhost", 80, "/"),
            ("ws://[::1]:9/db?name=x#y", "::1", 9, "/db?name=x"),
            ("ws://host:1?name=x", "host", 1, "/?name=x"),
            ("wss://host", "host", 443, "/"),
        ];
        for (url, host, port, path) in cases {
            let target: Target = url.parse().unwrap();
            assert_eq!((target.host.as_str(), target.port, target.path.as_str()), (host, port, path));
        }
        for url in ["", "http://x", "ws://", "ws://x:", "ws://x:70000", "ws://[::1", "ws://a@b", "ws://x/ y"]
        {
            assert!(url.parse::<Target>().is_err(), "{url}");
        }
    }

    #[test]
    fn redis_is_another_language() {
        let target: Target = "redis://localhost".parse().unwrap();
        assert_eq!((target.scheme, target.port), (Scheme::Redis, 6379));
        assert_eq!(target.to_string(), "redis://localhost:6379");
    }

    #[test]
    fn the_key_is_encoded_into_the_query() {
        let plain: Target = "ws://x".parse().unwrap();
        assert_eq!(plain.path_with_key(None), "/");
        assert_eq!(plain.path_with_key(Some("a b&c")), "/?api-key=a%20b%26c");
        let named: Target = "ws://x/?name=y".parse().unwrap();
        assert_eq!(named.path_with_key(Some("k")), "/?name=y&api-key=k");
    }
}
