//! The floor of bytes: HTTP heads, the upgrade, WebSocket frames. Knows neither cores nor requests.

pub mod deflate;
pub mod extension;
pub mod frame;
pub mod handshake;
pub mod http;
pub mod reply;
