//! HTTP/1.1 request heads and responses on bytes alone: no socket, no routes. Every response ends its connection,
//! unless it is an upgrade, which `handshake` makes.

use crate::limits::{HEAD_BYTES_MAX, HEADERS_MAX};
use std::fmt;

/// A request without a body. Has no `Debug`: its target may hold a key.
pub struct Head<'b> {
    /// The method.
    pub method: &'b str,
    /// The path, still percent-encoded.
    pub path: &'b str,
    /// The text behind `?`.
    pub query: &'b str,
    headers: Vec<(&'b str, &'b [u8])>,
}

impl<'b> Head<'b> {
    /// The value of the first field of this name.
    pub fn field(&self, name: &str) -> Option<&'b [u8]> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    /// The same, trimmed, where it is text.
    pub fn text_field(&self, name: &str) -> Option<&'b str> {
        std::str::from_utf8(self.field(name)?).ok().map(str::trim)
    }

    /// The values of all fields of this name that are text.
    pub fn text_fields(&self, name: &str) -> impl Iterator<Item = &'b str> {
        let fields = self.headers.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name));
        fields.filter_map(|(_, value)| std::str::from_utf8(value).ok())
    }

    /// Whether a comma-separated field of this name holds a token.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        let fields = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        fields
            .flat_map(|(_, value)| value.split(|byte| *byte == b','))
            .any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    }
}

/// Reads the request at the start of `received`: none while it is incomplete, else how many bytes it takes and what
/// it says; a response where it can't be served.
pub fn read_head(received: &[u8]) -> Result<Option<(usize, Head<'_>)>, Response> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let used = match request.parse(received) {
        Ok(httparse::Status::Complete(used)) if used <= HEAD_BYTES_MAX => used,
        Ok(httparse::Status::Partial) if received.len() <= HEAD_BYTES_MAX => return Ok(None),
        Ok(_) => return Err(Response::text(Status::HeadTooLarge, "the request head is too long")),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Response::text(Status::HeadTooLarge, "too many header fields"));
        }
        Err(error) => {
            return Err(Response::text(Status::BadRequest, &format!("not an HTTP request: {error}")));
        }
    };
    let target = request.path.unwrap_or("/").split('#').next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers = request.headers.iter().map(|header| (header.name, header.value)).collect();
    Ok(Some((used, Head { method: request.method.unwrap_or_default(), path, query, headers })))
}

/// The statuses that this server answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// 200
    Ok,
    /// 400
    BadRequest,
    /// 401
    Unauthorized,
    /// 404
    NotFound,
    /// 405; only GET is served.
    MethodNotAllowed,
    /// 426
    UpgradeRequired,
    /// 429
    TooManyRequests,
    /// 431
    HeadTooLarge,
    /// 503
    Unavailable,
}

impl Status {
    fn line(self) -> &'static str {
        match self {
            Status::Ok => "200 OK",
            Status::BadRequest => "400 Bad Request",
            Status::Unauthorized => "401 Unauthorized",
            Status::NotFound => "404 Not Found",
            Status::MethodNotAllowed => "405 Method Not Allowed",
            Status::UpgradeRequired => "426 Upgrade Required",
            Status::TooManyRequests => "429 Too Many Requests",
            Status::HeadTooLarge => "431 Request Header Fields Too Large",
            Status::Unavailable => "503 Service Unavailable",
        }
    }

    fn fields(self) -> &'static str {
        match self {
            Status::MethodNotAllowed => "Allow: GET\r\n",
            Status::UpgradeRequired => "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
            _ => "",
        }
    }
}

/// A complete response, which ends the connection.
pub struct Response {
    /// Its status.
    pub status: Status,
    content_type: &'static str,
    body: String,
}

impl Response {
    /// A response in plain text.
    pub fn text(status: Status, body: &str) -> Response {
        Response { status, content_type: "text/plain", body: body.to_owned() }
    }

    /// Metrics, in the text form of Prometheus.
    pub fn metrics(body: String) -> Response {
        Response { status: Status::Ok, content_type: "text/plain; version=0.0.4; charset=utf-8", body }
    }

    /// The bytes to send.
    pub fn into_bytes(self) -> Vec<u8> {
        let (line, fields, len) = (self.status.line(), self.status.fields(), self.body.len());
        let content_type = self.content_type;
        format!(
            "HTTP/1.1 {line}\r\n{fields}Content-Type: {content_type}\r\nContent-Length: {len}\r\n\
             Connection: close\r\n\r\n{}",
            self.body
        )
        .into_bytes()
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status.line(), self.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Status {
        match read_head(text.as_bytes()) {
            Err(response) => response.status,
            Ok(read) => panic!("{:?} bytes were taken", read.map(|(used, _)| used)),
        }
    }

    #[test]
    fn a_head_is_read_up_to_its_end() {
        let text = "GET /a/b?x=1&y#z HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n\r\n";
        let received = format!("{text}EXTRA");
        let Ok(Some((used, head))) = read_head(received.as_bytes()) else { panic!("it is complete") };
        assert_eq!((used, head.method, head.path, head.query), (text.len(), "GET", "/a/b", "x=1&y"));
        assert_eq!(head.text_field("HOST"), Some("a"));
        assert!(head.has_token("connection", "upgrade") && !head.has_token("connection", "up"));
        for len in 0..text.len() {
            assert!(matches!(read_head(&text.as_bytes()[..len]), Ok(None)), "{len}");
        }
    }

    #[test]
    fn a_head_has_limits() {
        let long = format!("GET /?{} HTTP/1.1\r\n", "x".repeat(HEAD_BYTES_MAX));
        assert_eq!(refused(&long), Status::HeadTooLarge);
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(HEADERS_MAX + 1));
        assert_eq!(refused(&many), Status::HeadTooLarge);
        assert_eq!(refused("\x01\x02 nonsense\r\n\r\n"), Status::BadRequest);
    }

    #[test]
    fn a_response_says_how_long_it_is() {
        let bytes = Response::text(Status::MethodNotAllowed, "no\u{fc}").into_bytes();
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.starts_with("HTTP/1.1 405 Method Not Allowed\r\nAllow: GET\r\n"));
        assert!(text.contains("Content-Length: 4\r\n") && text.ends_with("\r\n\r\nno\u{fc}"));
    }
}
