//! Walks over data that write a reply, each cut into steps.
//!
//! A scan is plain state (positions, offsets) apart from the data it reads. The first step runs it on the live data, and
//! only if that doesn't finish is a snapshot taken, on which the same state carries on.

mod history;
mod latest;
mod list;
mod step;
mod time_text;
mod value;

pub(crate) use history::HistoryScan;
pub(crate) use latest::{Conditions, LatestScan};
pub(crate) use list::{ListScan, ListShape};
pub use step::Progress;
pub(crate) use step::Step;
pub(crate) use value::ValueScan;
