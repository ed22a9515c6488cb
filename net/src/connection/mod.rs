//! The floor of connections: the life of one socket, from its handshake to its end.

mod greet;
mod input;
mod socket;
mod task;

pub use task::serve;
