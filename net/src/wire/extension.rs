//! The extension of WebSockets that compresses messages, permessage-deflate (RFC 7692), as it is agreed on in a handshake.
//! Bytes alone: who compresses is `deflate`.

use crate::wire::http::Head;
use std::fmt::Write;

const NAME: &str = "permessage-deflate";

/// The smallest window that the compressor can have; the protocol knows a smaller one.
pub const WINDOW_BITS_MIN: u8 = 9;
/// The largest window, which is that of who names none.
pub const WINDOW_BITS_MAX: u8 = 15;

/// How messages are compressed for clients that offer it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    Off,
    /// Each message by itself, so that a connection needs no state of its own.
    Shared,
    /// Each message knowing those before it, where the client agrees: smaller, with state for each connection.
    Dedicated,
}

/// The agreement of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// The server's messages may refer to those before.
    pub server_takeover: bool,
    /// The client's messages may refer to those before.
    pub client_takeover: bool,
    /// The window of the server's messages.
    pub server_bits: u8,
    /// The client wants to be told of that window.
    names_bits: bool,
}

impl Agreement {
    /// The value of the field that tells the client.
    pub fn field(&self) -> String {
        let mut text = NAME.to_owned();
        if !self.server_takeover {
            text.push_str("; server_no_context_takeover");
        }
        if !self.client_takeover {
            text.push_str("; client_no_context_takeover");
        }
        if self.names_bits {
            // Writing to a string can't fail.
            let _ = write!(text, "; server_max_window_bits={}", self.server_bits);
        }
        text
    }
}

/// Takes the first of a client's offers that can be met.
pub fn agree(head: &Head<'_>, compression: Compression) -> Option<Agreement> {
    if compression == Compression::Off {
        return None;
    }
    let offers = head.text_fields("sec-websocket-extensions").flat_map(|field| field.split(','));
    offers.filter_map(read_offer).find(|offer| offer.server_bits >= WINDOW_BITS_MIN).map(|mut offer| {
        if compression == Compression::Shared {
            (offer.server_takeover, offer.client_takeover) = (false, false);
        }
        offer
    })
}

/// Reads one offer; none if it is for something else, or not to be understood.
fn read_offer(text: &str) -> Option<Agreement> {
    let mut parts = text.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case(NAME) {
        return None;
    }
    let mut offer = Agreement {
        server_takeover: true,
        client_takeover: true,
        server_bits: WINDOW_BITS_MAX,
        names_bits: false,
    };
    let mut names_client_bits = false;
    for part in parts {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name.trim_end(), Some(unquoted(value.trim_start()))),
            None => (part, None),
        };
        let is_new = match (name.to_ascii_lowercase().as_str(), value) {
            ("server_no_context_takeover", None) => std::mem::replace(&mut offer.server_takeover, false),
            ("client_no_context_takeover", None) => std::mem::replace(&mut offer.client_takeover, false),
            ("server_max_window_bits", Some(bits)) => {
                offer.server_bits = read_bits(bits)?;
                !std::mem::replace(&mut offer.names_bits, true)
            }
            ("client_max_window_bits", bits) => {
                // Its messages are read with the largest window, whichever it takes.
                bits.map_or(Some(WINDOW_BITS_MAX), read_bits)?;
                !std::mem::replace(&mut names_client_bits, true)
            }
            _ => return None,
        };
        if !is_new {
            return None;
        }
    }
    Some(offer)
}

fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value)
}

/// A number from 8 to 15, without zeros before it.
fn read_bits(text: &str) -> Option<u8> {
    let bits = (8..=WINDOW_BITS_MAX).find(|bits| bits.to_string() == text)?;
    Some(bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http;

    fn agreed(offers: &[&str], compression: Compression) -> Option<String> {
        let mut text = "GET / HTTP/1.1\r\n".to_owned();
        offers.iter().for_each(|offer| text.push_str(&format!("Sec-WebSocket-Extensions: {offer}\r\n")));
        text.push_str("\r\n");
        let Ok(Some((_, head))) = http::read_head(text.as_bytes()) else { panic!("it is complete") };
        agree(&head, compression).map(|agreement| agreement.field())
    }

    #[test]
    fn offers_are_met_as_they_are_where_each_connection_has_state() {
        let met = |offer: &str| agreed(&[offer], Compression::Dedicated);
        for (offer, answer) in [
            ("permessage-deflate", "permessage-deflate"),
            ("Permessage-Deflate; client_max_window_bits", "permessage-deflate"),
            ("permessage-deflate; client_max_window_bits=8", "permessage-deflate"),
            (
                "permessage-deflate;server_no_context_takeover",
                "permessage-deflate; server_no_context_takeover",
            ),
            (
                "permessage-deflate; client_no_context_takeover ; server_max_window_bits = \"10\"",
                "permessage-deflate; client_no_context_takeover; server_max_window_bits=10",
            ),
            (
                "permessage-deflate; server_max_window_bits=15",
                "permessage-deflate; server_max_window_bits=15",
            ),
        ] {
            assert_eq!(met(offer).as_deref(), Some(answer), "{offer}");
        }
    }

    #[test]
    fn without_state_no_message_refers_to_another() {
        let none = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        assert_eq!(agreed(&["permessage-deflate"], Compression::Shared).as_deref(), Some(none));
        assert_eq!(
            agreed(&["permessage-deflate; server_max_window_bits=9"], Compression::Shared),
            Some(format!("{none}; server_max_window_bits=9"))
        );
        assert_eq!(agreed(&["permessage-deflate"], Compression::Off), None);
    }

    #[test]
    fn the_first_offer_that_can_be_met_is_taken() {
        for wrong in [
            "x-webkit-deflate-frame",
            "permessage-deflate; unknown",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=010",
            "permessage-deflate; client_max_window_bits=x",
            "permessage-deflate; client_max_window_bits; client_max_window_bits",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
            // A window that the compressor can't have.
            "permessage-deflate; server_max_window_bits=8",
            "permessage-deflate;",
            "",
        ] {
            assert_eq!(agreed(&[wrong], Compression::Dedicated), None, "{wrong}");
            let both = format!("{wrong}, permessage-deflate; server_max_window_bits=12");
            for offers in [vec![both.as_str()], vec![wrong, "permessage-deflate; server_max_window_bits=12"]]
            {
                let answer = "permessage-deflate; server_max_window_bits=12";
                assert_eq!(agreed(&offers, Compression::Dedicated).as_deref(), Some(answer), "{wrong}");
            }
        }
    }
}
