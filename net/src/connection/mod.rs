//! The floor of connections: the life of one socket, from its handshake to its end.

mod greet;
mod input;
mod release;
mod secure;
mod task;

pub use release::release;
pub use task::serve;
