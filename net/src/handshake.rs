//! The HTTP upgrade on bytes alone: what has been received goes in, an upgrade or a complete refusal comes
//! out. Extensions that a client offers are not taken up; of its subprotocols the first is echoed, since browsers and
//! many libraries end a connection whose offer isn't answered. Keys are never printed.

use std::fmt;
use tungstenite::handshake::derive_accept_key;

/// Longest request head.
pub const HANDSHAKE_BYTES_MAX: usize = 16 * 1024;
/// Most header fields in it.
pub const HEADERS_MAX: usize = 64;
/// Longest label of a connection; what is over it is cut.
pub const NAME_BYTES_MAX: usize = 256;

/// A good upgrade request; whether its key is known is for the caller to say.
pub struct Handshake {
    /// The bytes that accept it.
    pub response: Vec<u8>,
    /// The key from the URL, or else from an `Authorization: Bearer` or an `X-API-Key` header.
    pub api_key: Option<String>,
    /// The label from the URL.
    pub name: Option<String>,
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What a client asks for.
#[derive(Debug)]
pub enum Outcome {
    /// A WebSocket.
    Upgrade(Handshake),
    /// `GET /health`.
    Health,
}

/// A request that is turned down.
#[derive(Debug)]
pub struct Refusal {
    /// The complete response.
    pub response: Vec<u8>,
}

/// Reads the request at the start of `received`: none while it is incomplete, else how many bytes it takes
/// and what it asks for.
pub fn read_request(received: &[u8]) -> Result<Option<(usize, Outcome)>, Refusal> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let used = match request.parse(received) {
        Ok(httparse::Status::Complete(used)) if used <= HANDSHAKE_BYTES_MAX => used,
        Ok(httparse::Status::Partial) if received.len() <= HANDSHAKE_BYTES_MAX => return Ok(None),
        Ok(_) => return Err(refuse(431, "the request head is too long")),
        Err(httparse::Error::TooManyHeaders) => return Err(refuse(431, "too many header fields")),
        Err(error) => return Err(refuse(400, &format!("not an HTTP request: {error}"))),
    };
    if request.method != Some("GET") {
        return Err(refuse(405, "only GET is served here"));
    }
    let (path, query) = split_target(request.path.unwrap_or("/"));
    let Some(key) = websocket_key(request.headers) else {
        return match path {
            "/health" if find(request.headers, "upgrade").is_none() => Ok(Some((used, Outcome::Health))),
            _ => Err(refuse(426, "this is a WebSocket server: connect with ws://")),
        };
    };
    let [api_key, name] = parameters(query, ["api-key", "name"]);
    let api_key = api_key
        .filter(|key| !key.is_empty())
        .or_else(|| bearer(request.headers))
        .or_else(|| key_header(request.headers));
    let name = name.filter(|name| !name.is_empty()).map(|mut name| {
        name.truncate(name.floor_char_boundary(NAME_BYTES_MAX));
        name
    });
    let mut response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {}\r\n",
        derive_accept_key(key)
    );
    if let Some(protocol) = first_subprotocol(request.headers) {
        response.push_str(&format!("Sec-WebSocket-Protocol: {protocol}\r\n"));
    }
    response.push_str("\r\n");
    Ok(Some((used, Outcome::Upgrade(Handshake { response: response.into_bytes(), api_key, name }))))
}

/// A complete response that ends the connection.
pub fn refusal(status: u16, body: &str) -> Vec<u8> {
    let (reason, extra) = match status {
        200 => ("OK", ""),
        400 => ("Bad Request", ""),
        401 => ("Unauthorized", ""),
        405 => ("Method Not Allowed", "Allow: GET\r\n"),
        426 => ("Upgrade Required", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"),
        431 => ("Request Header Fields Too Large", ""),
        _ => ("Service Unavailable", ""),
    };
    format!(
        "HTTP/1.1 {status} {reason}\r\n{extra}Content-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn refuse(status: u16, body: &str) -> Refusal {
    Refusal { response: refusal(status, body) }
}

fn split_target(target: &str) -> (&str, &str) {
    let target = target.split('#').next().unwrap_or_default();
    target.split_once('?').unwrap_or((target, ""))
}

fn find<'a>(headers: &[httparse::Header<'a>], name: &str) -> Option<&'a [u8]> {
    headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
}

fn has_token(headers: &[httparse::Header<'_>], name: &str, token: &str) -> bool {
    headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name)).any(|header| {
        header
            .value
            .split(|byte| *byte == b',')
            .any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    })
}

/// The `Sec-WebSocket-Key` of a request that is a proper upgrade.
fn websocket_key<'a>(headers: &[httparse::Header<'a>]) -> Option<&'a [u8]> {
    let proper = has_token(headers, "upgrade", "websocket")
        && has_token(headers, "connection", "upgrade")
        && find(headers, "sec-websocket-version").is_some_and(|version| version.trim_ascii() == b"13");
    find(headers, "sec-websocket-key").map(<[u8]>::trim_ascii).filter(|key| proper && key.len() == 24)
}

fn bearer(headers: &[httparse::Header<'_>]) -> Option<String> {
    let value = std::str::from_utf8(find(headers, "authorization")?).ok()?;
    let (scheme, key) = value.trim().split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then(|| key.to_owned())
}

fn key_header(headers: &[httparse::Header<'_>]) -> Option<String> {
    let key = std::str::from_utf8(find(headers, "x-api-key")?).ok()?.trim();
    (!key.is_empty()).then(|| key.to_owned())
}

/// The first subprotocol on offer, unless it is no token.
fn first_subprotocol<'a>(headers: &[httparse::Header<'a>]) -> Option<&'a str> {
    let offer = std::str::from_utf8(find(headers, "sec-websocket-protocol")?).ok()?;
    let first = offer.split(',').next()?.trim();
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

    fn request(target: &str, extra: &str) -> String {
        format!(
            "GET {target} HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
             sec-websocket-version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{extra}\r\n"
        )
    }

    fn upgrade(target: &str, extra: &str) -> Handshake {
        let text = request(target, extra);
        match read_request(format!("{text}EXTRA").as_bytes()) {
            Ok(Some((used, Outcome::Upgrade(handshake)))) => {
                assert_eq!(used, text.len());
                handshake
            }
            other => panic!("{other:?}"),
        }
    }

    fn refused(text: &str) -> String {
        match read_request(text.as_bytes()) {
            Err(refusal) => String::from_utf8(refusal.response).unwrap(),
            other => panic!("{other:?}"),
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
    fn it_is_incomplete_at_every_shorter_length() {
        let text = request("/?api-key=k", "");
        for len in 0..text.len() {
            assert!(matches!(read_request(&text.as_bytes()[..len]), Ok(None)), "{len}");
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
        assert!(refused("GET / HTTP/1.1\r\nHost: a\r\n\r\n").starts_with("HTTP/1.1 426 "));
        assert!(refused(&request("/", "").replace(": 13", ": 8")).contains("Sec-WebSocket-Version: 13"));
        assert!(refused(&request("/", "").replace("dGhl", "")).starts_with("HTTP/1.1 426 "));
        assert!(refused(&request("/", "").replace("GET", "POST")).starts_with("HTTP/1.1 405 "));
        assert!(refused("\x01\x02 nonsense\r\n\r\n").starts_with("HTTP/1.1 400 "));
        let health = read_request(b"GET /health?x=1 HTTP/1.1\r\n\r\n");
        assert!(matches!(health, Ok(Some((_, Outcome::Health)))));
    }

    #[test]
    fn a_head_has_limits() {
        let long = format!("GET /?{} HTTP/1.1\r\n", "x".repeat(HANDSHAKE_BYTES_MAX));
        assert!(refused(&long).starts_with("HTTP/1.1 431 "));
        assert!(refused(&request("/", &"X: y\r\n".repeat(HEADERS_MAX))).starts_with("HTTP/1.1 431 "));
    }
}
