//! The floor of behaviour: what is done with the state of a core. Each module acts on `core::state::Core` and answers
//! through a connection's outbox or a message; `server::dispatch` and the connections call it.

pub mod clock;
pub mod execute;
pub mod exposition;
pub mod flush;
pub mod keys;
pub mod lines;
pub mod memory;
pub mod message;
pub mod metrics;
pub mod pages;
pub mod pushes;
pub mod refusals;
pub mod replies;
pub mod route;
pub mod sealing;
pub mod steps;
pub mod storage;
pub mod streams;
pub mod subscriptions;
pub mod tell;
