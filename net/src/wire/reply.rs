//! The text of replies around what the engine writes.

use fluxion_engine::escape_json;

/// Writes `{"id":"…"`.
pub fn put_id(out: &mut Vec<u8>, id: &str) {
    out.extend_from_slice(b"{\"id\":\"");
    escape_json(out, id.as_bytes());
    out.push(b'"');
}

/// A whole reply that says nothing but that it is done.
pub fn done(id: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(id.len() + 10);
    put_id(&mut out, id);
    out.push(b'}');
    out
}

/// A whole reply that says why it was not.
pub fn error(id: &str, wrong: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(id.len() + wrong.len() + 24);
    put_id(&mut out, id);
    out.extend_from_slice(b",\"error\":\"");
    escape_json(&mut out, wrong.as_bytes());
    out.extend_from_slice(b"\"}");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_json_whatever_the_id() {
        assert_eq!(done("a\"\n"), br#"{"id":"a\"\n"}"#);
        assert_eq!(error("1", "no \"x\""), br#"{"id":"1","error":"no \"x\""}"#);
    }
}
