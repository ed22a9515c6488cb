//! The inside of JSON strings to the text that it means, 64 bytes a step: a block is compared to a backslash, a quote and
//! so on at once, which gives a bit for each byte (`run.rs`), and what the bits keep of it is pushed together, in the way
//! that the CPU has (`words.rs`, `x86.rs`; `form.rs` chooses).
//!
//! The one module of this crate with unsafe code: loads, stores, and calls of what not every CPU has, which is looked up
//! when the server starts. With AVX-512 it takes a record of 180 bytes, both times that it is unescaped, in 25 ns, where
//! steps of eight bytes and a parser took 340. All forms give the same, which the tests compare byte by byte.
#![allow(unsafe_code)]

mod form;
mod quotes;
mod run;
mod utf8;
mod words;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use form::Vectors;
pub use quotes::Quotes;
pub use run::Stop;
pub use utf8::text_of;
