//! The HTTP upgrade on bytes alone: what has been received goes in, an upgrade or a complete refusal comes
//! out. Of the extensions that a client offers, compression may be taken up; of its subprotocols the first is echoed, since browsers and
//! many libraries end a connection whose offer isn't answered. Keys are never printed.

use crate::limits::NAME_BYTES_MAX;
use crate::wire::extension::{self, Agreement, Compression};
use crate::wire::http::{Head, Response, Status};
use std::fmt;
use tungstenite::handshake::derive_accept_key;

/// A good upgrade request; whether its key is known is for the caller to say.
pub struct Handshake {
    /// The bytes that accept it.
    pub response: Vec<u8>,
    /// The key from the URL, or else from an `Authorization: Bearer` or an `X-API-Key` header.
    pub api_key: Option<String>,
    /// The label from the URL.
    pub name: Option<String>,
    /// How messages are compressed, if they are.
    pub deflate: Option<Agreement>,
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Whether a request asks for a WebSocket at all.
pub fn is_upgrade(head: &Head<'_>) -> bool {
    head.field("upgrade").is_some()
}

/// Reads a request for a WebSocket.
pub fn read(head: &Head<'_>, compression: Compression) -> Result<Handshake, Response> {
    if head.method != "GET" {
        return Err(Response::text(Status::MethodNotAllowed, "only GET is served here"));
    }
    let Some(websocket_key) = websocket_key(head) else {
        return Err(Response::text(
            Status::UpgradeRequired,
            "this is a WebSocket server: connect with ws://, version 13",
        ));
    };
    let [name] = parameters(head.query, ["name"]);
    let name = name.filter(|name| !name.is_empty()).map(|mut name| {
        name.truncate(name.floor_char_boundary(NAME_BYTES_MAX));
        name
    });
    let deflate = extension::agree(head, compression);
    let response = acceptance(head, websocket_key, deflate);
    Ok(Handshake { response, api_key: api_key(head), name, deflate })
}

/// The key from the URL, or else from an `Authorization: Bearer` or an `X-API-Key` header.
pub fn api_key(head: &Head<'_>) -> Option<String> {
    let [api_key] = parameters(head.query, ["api-key"]);
    api_key
        .filter(|key| !key.is_empty())
        .or_else(|| bearer(head))
        .or_else(|| head.text_field("x-api-key").filter(|key| !key.is_empty()).map(str::to_owned))
}

fn acceptance(head: &Head<'_>, websocket_key: &[u8], deflate: Option<Agreement>) -> Vec<u8> {
    let mut response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {}\r\n",
        derive_accept_key(websocket_key)
    );
    if let Some(protocol) = first_subprotocol(head) {
        response.push_str(&format!("Sec-WebSocket-Protocol: {protocol}\r\n"));
    }
    if let Some(agreement) = deflate {
        response.push_str(&format!("Sec-WebSocket-Extensions: {}\r\n", agreement.field()));
    }
    response.push_str("\r\n");
    response.into_bytes()
}

/// The `Sec-WebSocket-Key` of a request that is a proper upgrade.
fn websocket_key<'b>(head: &Head<'b>) -> Option<&'b [u8]> {
    let proper = head.has_token("upgrade", "websocket")
        && head.has_token("connection", "upgrade")
        && head.field("sec-websocket-version").is_some_and(|version| version.trim_ascii() == b"13");
    head.field("sec-websocket-key").map(<[u8]>::trim_ascii).filter(|key| proper && key.len() == 24)
}

fn bearer(head: &Head<'_>) -> Option<String> {
    let (scheme, key) = head.text_field("authorization")?.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then(|| key.to_owned())
}

/// The first subprotocol on offer, unless it is no token.
fn first_subprotocol<'b>(head: &Head<'b>) -> Option<&'b str> {
    let first = head.text_field("sec-websocket-protocol")?.split(',').next()?.trim();
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (!first.is_empty() && first.bytes().all(is_token)).then_some(first)
}

/// The values of these parameters of a form-encoded query; one that is given twice counts the first time.
fn parameters<const N: usize>(query: &str, names: [&str; N]) -> [Option<String>; N] {
    let mut values = [const { None }; N];
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if let Some(index) = names.iter().position(|known| *known == form_decode(name))
            && values[index].is_none()
        {
            values[index] = Some(form_decode(value));
        }
    }
    values
}

/// `+` is a space, `%XX` a byte; an escape that is none stays as it is.
fn form_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = match (first, tail) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        bytes.push(escaped.unwrap_or(if *first == b'+' { b' ' } else { *first }));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http;

    fn request(target: &str, extra: &str) -> String {
        format!(
            "GET {target} HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
             sec-websocket-version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{extra}\r\n"
        )
    }

    fn upgrade(target: &str, extra: &str) -> Handshake {
        let text = request(target, extra);
        match http::read_head(text.as_bytes()) {
            Ok(Some((_, head))) => read(&head, Compression::Off).unwrap(),
            _ => panic!("it is complete"),
        }
    }

    fn refused(text: &str) -> Status {
        match http::read_head(text.as_bytes()) {
            Ok(Some((_, head))) => read(&head, Compression::Shared).unwrap_err().status,
            _ => panic!("it is complete"),
        }
    }

    #[test]
    fn a_good_request_is_accepted_without_extensions() {
        let extra = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
        let response = String::from_utf8(upgrade("/any?api-key=k", extra).response).unwrap();
        assert!(response.starts_with("HTTP/1.1 101 ") && response.ends_with("\r\n\r\n"));
        assert!(response.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert!(!response.contains("Extensions") && !response.contains("Protocol:"));
    }

    #[test]
    fn the_first_subprotocol_on_offer_is_echoed() {
        let response = |offer: &str| {
            let extra = format!("Sec-WebSocket-Protocol: {offer}\r\n");
            String::from_utf8(upgrade("/?api-key=k", &extra).response).unwrap()
        };
        assert!(response("chat, superchat").contains("\r\nSec-WebSocket-Protocol: chat\r\n"));
        assert!(response(" v1.fluxion ").contains("\r\nSec-WebSocket-Protocol: v1.fluxion\r\n"));
        for odd in ["", ",", "two words, chat", "\u{fc}ber"] {
            assert!(!response(odd).contains("Protocol:"), "{odd}");
        }
    }

    #[test]
    fn parameters_are_form_decoded_in_any_order() {
        let got = upgrade("/x?name=a+b%20%C3%BC&api-key=c08+r%26o%3D1&name=second", "");
        assert_eq!(got.api_key.as_deref(), Some("c08 r&o=1"));
        assert_eq!(got.name.as_deref(), Some("a b \u{fc}"));
        let odd = upgrade("/?api-key=%zz%4&api%2Dkey=x", "");
        assert_eq!(odd.api_key.as_deref(), Some("%zz%4"));
        assert_eq!(upgrade("/?name=only", "").api_key, None);
        assert_eq!(upgrade("/?api-key=", "").api_key, None);
        let long = upgrade(&format!("/?name=x{}", "%C3%BC".repeat(200)), "");
        assert_eq!(long.name.map(|name| name.len()), Some(NAME_BYTES_MAX - 1));
    }

    #[test]
    fn a_bearer_key_serves_when_the_url_has_none() {
        assert_eq!(upgrade("/", "authorization: bearer  k1 \r\n").api_key.as_deref(), Some("k1"));
        assert_eq!(upgrade("/?api-key=k2", "Authorization: Bearer k1\r\n").api_key.as_deref(), Some("k2"));
        assert_eq!(upgrade("/", "Authorization: Basic k1\r\n").api_key, None);
        assert_eq!(upgrade("/", "Authorization: Bearer \r\n").api_key, None);
    }

    #[test]
    fn a_key_header_serves_when_nothing_else_has_one() {
        assert_eq!(upgrade("/", "x-api-key: k1 \r\n").api_key.as_deref(), Some("k1"));
        assert_eq!(upgrade("/?api-key=k2", "X-API-Key: k1\r\n").api_key.as_deref(), Some("k2"));
        let both = "X-API-Key: k1\r\nAuthorization: Bearer k3\r\n";
        assert_eq!(upgrade("/", both).api_key.as_deref(), Some("k3"));
        assert_eq!(upgrade("/", "X-API-Key: \r\n").api_key, None);
    }

    #[test]
    fn a_key_is_never_printed() {
        let shown = format!("{:?}", upgrade("/?api-key=topsecret&name=n", ""));
        assert!(!shown.contains("topsecret") && shown.contains('n'));
    }

    #[test]
    fn what_is_no_upgrade_is_told_so() {
        assert_eq!(refused("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Status::UpgradeRequired);
        assert_eq!(refused(&request("/", "").replace(": 13", ": 8")), Status::UpgradeRequired);
        assert_eq!(refused(&request("/", "").replace("dGhl", "")), Status::UpgradeRequired);
        assert_eq!(refused(&request("/", "").replace("GET", "POST")), Status::MethodNotAllowed);
    }
}
