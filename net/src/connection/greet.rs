//! The beginning of a connection: its HTTP request is read, and it is served a page, refused, or entered as a peer.

use crate::core::compression::Compressor;
use crate::core::counters::Refusal;
use crate::core::peers::{Identity, SharedPeer};
use crate::core::socket::Socket;
use crate::core::state::Core;
use crate::requests::scope::Scope;
use crate::serve::pages::{Door, Page};
use crate::serve::{lines, metrics, pages, refusals};
use crate::wire::frame;
use crate::wire::handshake::{self, Handshake};
use crate::wire::http::{self, Response, Status};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use std::io;
use std::net::IpAddr;
use std::time::Instant;

const READY: &[u8] = br#"{"message":"Authentication successful","type":"ready"}"#;

/// A new connection, and what was received behind its handshake.
pub type Greeted = Option<(SharedPeer, Vec<u8>)>;

/// Reads the request and answers it.
pub async fn greet(core: &Core, stream: &mut Socket, ip: IpAddr, door: Door) -> io::Result<Greeted> {
    let mut received = Vec::new();
    loop {
        let answer = match http::read_head(&received) {
            Ok(None) => {
                let mut chunk = [0; 2048];
                let count = stream.read(&mut chunk).await?;
                if count == 0 {
                    return Ok(None);
                }
                received.extend_from_slice(&chunk[..count]);
                continue;
            }
            Ok(Some((_, head))) if door == Door::Pages || !handshake::is_upgrade(&head) => {
                Err(match pages::find(core, &head, door, ip) {
                    Page::Answer(response) => response,
                    Page::Metrics => metrics::respond(core).await,
                })
            }
            Ok(Some((used, head))) => match handshake::read(&head, core.options.compression) {
                Ok(handshake) => enter(core, handshake, ip).map(|peer| (peer, used)),
                Err(response) => Err(bad(core, response)),
            },
            Err(response) => Err(bad(core, response)),
        };
        return match answer {
            Ok((peer, used)) => Ok(Some((peer, received.split_off(used)))),
            Err(response) => {
                stream.write_all(&response.into_bytes()).await?;
                stream.close().await?;
                Ok(None)
            }
        };
    }
}

fn bad(core: &Core, response: Response) -> Response {
    core.counters.refusal(Refusal::BadHandshake);
    response
}

/// Enters a connection whose handshake is good, or says why it may not come in.
fn enter(core: &Core, handshake: Handshake, ip: IpAddr) -> Result<SharedPeer, Response> {
    let identity = identify(core, &handshake, ip).map_err(|why| {
        refusals::note(core, Refusal::Key, ip);
        Response::text(Status::Unauthorized, why)
    })?;
    if core.is_stopping() {
        return Err(Response::text(Status::Unavailable, "the server is stopping"));
    }
    let mut opening = handshake.response;
    if identity.key.is_some() {
        frame::put_text(&mut opening, READY);
    }
    let peer = core.peers.add(identity, opening).map_err(|full| refusals::refuse(core, full, ip))?;
    if let Some(agreement) = handshake.deflate {
        let peer = &mut *peer.borrow_mut();
        peer.deflate = Some(agreement);
        peer.outbox.compress_with(Compressor::new(core.compression.clone(), agreement));
    }
    core.counters.connections.add(1);
    lines::opened(core, &peer.borrow().identity);
    Ok(peer)
}

/// The identity that a handshake's key gives a connection, or why it may not come in.
fn identify(core: &Core, handshake: &Handshake, ip: IpAddr) -> Result<Identity, &'static str> {
    let name = handshake.name.as_deref().map(Into::into);
    let since = Instant::now();
    match &handshake.api_key {
        Some(secret) => match core.keys.borrow().find(secret) {
            Some(key) => Ok(Identity { ip, name, key: Some(key.id), scope: key.scope, since }),
            None => Err("Unknown API key"),
        },
        None if core.options.legacy_auth => Ok(Identity { ip, name, key: None, scope: Scope::Read, since }),
        None => Err("Missing API key parameter"),
    }
}
