//! The top floor: a core's thread from its start to its end, and the whole of them.

mod dispatch;
mod listener;
mod run;
mod sealer;
pub mod start;
mod watch;
