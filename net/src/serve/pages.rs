//! Pages that are served over plain HTTP, on the port of the WebSockets.

use crate::core::state::Core;
use crate::core::storage::refused;
use crate::wire::http::{Head, Response, Status};

/// Answers a request that is no upgrade.
pub fn respond(core: &Core, head: &Head<'_>) -> Response {
    match head.path {
        _ if head.method != "GET" => Response::text(Status::MethodNotAllowed, "only GET is served here"),
        "/health" => health(core),
        "/" => Response::text(Status::UpgradeRequired, "this is a WebSocket server: connect with ws://"),
        _ => Response::text(Status::NotFound, "nothing here: GET /health, or connect with ws://"),
    }
}

fn health(core: &Core) -> Response {
    match core.storage.refusal() {
        None => Response::text(Status::Ok, "ok"),
        Some(why) => Response::text(Status::Unavailable, &refused(&why)),
    }
}
