//! Pages that are served over plain HTTP: on the port of the WebSockets, or at an address of their own.

use crate::core::counters::Refusal;
use crate::core::state::Core;
use crate::core::storage::refused;
use crate::serve::refusals;
use crate::wire::handshake;
use crate::wire::http::{Head, Response, Status};
use std::net::IpAddr;

/// The address at which a connection came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// That of the WebSockets.
    Main,
    /// The same, over TLS.
    Secure,
    /// That of the pages alone, where no key is asked for.
    Pages,
}

/// The way in which a request for a page goes on.
pub enum Page {
    /// It is answered.
    Answer(Response),
    /// It is to be answered with the metrics.
    Metrics,
}

/// Looks at a request that is no upgrade.
pub fn find(core: &Core, head: &Head<'_>, door: Door, ip: IpAddr) -> Page {
    let is_here = door == Door::Pages || core.options.pages_address.is_none();
    let response = match head.path {
        _ if head.method != "GET" => Response::text(Status::MethodNotAllowed, "only GET is served here"),
        "/health" if is_here => health(core),
        "/metrics" if door == Door::Pages => return Page::Metrics,
        "/metrics" if is_here => match authorize(core, head, ip) {
            None => return Page::Metrics,
            Some(refusal) => refusal,
        },
        "/health" | "/metrics" => {
            Response::text(Status::NotFound, "not here: at the address of --metrics-bind")
        }
        _ if door == Door::Pages => Response::text(Status::NotFound, "nothing here: GET /metrics or /health"),
        "/" => Response::text(Status::UpgradeRequired, "this is a WebSocket server: connect with ws://"),
        _ => Response::text(Status::NotFound, "nothing here: GET /health, or connect with ws://"),
    };
    Page::Answer(response)
}

/// Looks at the key of a request, of which every scope may read; gives the refusal.
fn authorize(core: &Core, head: &Head<'_>, ip: IpAddr) -> Option<Response> {
    let why = match handshake::api_key(head) {
        Some(secret) if core.keys.borrow().find(&secret).is_some() => return None,
        Some(_) => "Unknown API key",
        None => "Missing API key parameter",
    };
    refusals::note(core, Refusal::Key, ip);
    Some(Response::text(Status::Unauthorized, why))
}

fn health(core: &Core) -> Response {
    match core.storage.refusal() {
        None => Response::text(Status::Ok, "ok"),
        Some(why) => Response::text(Status::Unavailable, &refused(&why)),
    }
}
