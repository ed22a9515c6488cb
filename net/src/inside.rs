//! For programs that look inside: the Autobahn echo server, fuzz targets and micro-benchmarks. No promise is made of it.

pub use crate::core::mailbox::Mailbox;
pub use crate::limits::{HEAD_BYTES_MAX, NAME_BYTES_MAX};
pub use crate::requests::decode::Decoder;
pub use crate::requests::kind::{Kind, Target};
pub use crate::requests::vectors::Vectors;
pub use crate::wire::{deflate, extension, frame, handshake, http};
