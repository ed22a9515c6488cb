//! A `ws://` or `wss://` address taken apart, with key and name put into its query.

use crate::error::Error;
use crate::options::Options;
use std::fmt;
use std::fmt::Write;

const PORT_PLAIN: u16 = 80;
const PORT_SECURE: u16 = 443;

/// Where to connect, and what to ask for there. `Display` tells host and port only: the path holds the key.
#[derive(Debug)]
pub(crate) struct Address {
    /// Whether TLS is spoken there.
    pub(crate) secure: bool,
    /// Name or IP address; an IPv6 address without its brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Path and query, with the key.
    pub(crate) path: String,
}

impl Address {
    pub(crate) fn new(options: &Options) -> Result<Address, Error> {
        let (secure, host, port, mut path) = split(&options.url).map_err(Error::Address)?;
        if options.key.is_empty() {
            return Err(Error::Address("the API key is empty".into()));
        }
        let joint = if path.contains('?') { '&' } else { '?' };
        path.push(joint);
        path.push_str("api-key=");
        push_encoded(&mut path, &options.key);
        if let Some(name) = &options.name {
            path.push_str("&name=");
            push_encoded(&mut path, name);
        }
        Ok(Address { secure, host, port, path })
    }

    /// The address of a page that takes no key, such as `/health`, below the path of a server's address.
    pub(crate) fn of_page(url: &str, page: &str) -> Result<Address, Error> {
        let (secure, host, port, path) = split(url).map_err(Error::Address)?;
        let base = path.split('?').next().unwrap_or_default().trim_end_matches('/');
        Ok(Address { secure, host, port, path: format!("{base}{page}") })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "{}:{}", self.host, self.port)
        }
    }
}

fn split(url: &str) -> Result<(bool, String, u16, String), String> {
    let (secure, rest) = match (url.strip_prefix("ws://"), url.strip_prefix("wss://")) {
        (Some(rest), _) => (false, rest),
        (None, Some(rest)) => (true, rest),
        (None, None) => {
            let shown = url.split(['?', '#']).next().unwrap_or_default();
            return Err(format!(
                "the address {shown:?} must start with ws://, as in ws://localhost:8080, or with wss:// for TLS"
            ));
        }
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let path = path.split('#').next().unwrap_or_default();
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    if authority.contains('@') {
        return Err("the address must not hold a user name or a password".into());
    }
    if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("what follows the host in the address must be printable ASCII without spaces".into());
    }
    let (host, port) = split_port(authority)?;
    let port = port.unwrap_or(if secure { PORT_SECURE } else { PORT_PLAIN });
    let plain = host.bytes().all(|byte| byte.is_ascii_graphic());
    if host.is_empty() || !plain {
        return Err(format!("the address has no valid host: {authority:?}"));
    }
    Ok((secure, host.to_owned(), port, path))
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), String> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or("the address's '[' is not closed")?;
            (host, after.strip_prefix(':'))
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    match port {
        Some(text) => match text.parse() {
            Ok(port) => Ok((host, Some(port))),
            Err(_) => Err(format!("{text:?} in the address is not a port from 0 to 65535")),
        },
        None => Ok((host, None)),
    }
}

fn push_encoded(path: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                path.push(char::from(byte))
            }
            _ => {
                // Writing to a string can't fail.
                let _ = write!(path, "%{byte:02X}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> Result<Address, Error> {
        Address::new(&Options::new(url, "a b&c").name("ü"))
    }

    #[test]
    fn addresses_are_taken_apart() {
        for (url, host, port, path) in [
            ("ws://127.0.0.1:8080", "127.0.0.1", 8080, "/?"),
            ("ws://localhost", "localhost", 80, "/?"),
            ("ws://[::1]:9/db?x=y#z", "::1", 9, "/db?x=y&"),
            ("ws://host:1?x=y", "host", 1, "/?x=y&"),
            ("wss://host", "host", 443, "/?"),
            ("wss://host:80/", "host", 80, "/?"),
        ] {
            let address = address(url).unwrap();
            assert_eq!((address.host.as_str(), address.port), (host, port), "{url}");
            assert_eq!(address.secure, url.starts_with("wss"));
            assert_eq!(address.path, format!("{path}api-key=a%20b%26c&name=%C3%BC"));
        }
        assert_eq!(address("ws://[::1]:9").unwrap().to_string(), "[::1]:9");
    }

    #[test]
    fn a_page_lies_below_the_servers_path_and_leaves_the_key_out() {
        for (url, path) in
            [("ws://h:1", "/health"), ("ws://h/?api-key=secret", "/health"), ("ws://h/db/", "/db/health")]
        {
            assert_eq!(Address::of_page(url, "/health").unwrap().path, path, "{url}");
        }
        assert!(Address::of_page("http://h", "/health").is_err());
    }

    #[test]
    fn errors_say_what_is_wrong_without_the_key() {
        for (url, word) in [
            ("", "ws://"),
            ("http://x?api-key=secret", "must start with ws://"),
            ("ws://", "host"),
            ("ws://x:", "port"),
            ("ws://x:70000", "70000"),
            ("ws://[::1", "not closed"),
            ("ws://me:secret@b", "password"),
            ("ws://x/ y", "printable"),
            ("ws://x\r\ny/", "host"),
        ] {
            let error = address(url).unwrap_err().to_string();
            assert!(error.contains(word) && !error.contains("secret"), "{url}: {error}");
        }
        let empty = Address::new(&Options::new("ws://x", "")).unwrap_err();
        assert!(empty.to_string().contains("key is empty"));
    }
}
