//! The floor of requests: from a message's bytes to a typed request, once, and the one place that says what each is.
//! Knows neither sockets nor cores.

pub mod decode;
pub mod envelope;
pub mod field;
pub mod keys;
pub mod kind;
pub mod long;
pub mod members;
pub mod read;
#[cfg(test)]
mod samples;
pub mod scan;
pub mod scope;
pub mod subscription;
pub mod tame;
pub mod unescape;
pub mod usual;
pub mod vectors;
pub mod wrong;
