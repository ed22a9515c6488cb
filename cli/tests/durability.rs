//! Tests of what remains of data after stops, crashes, faults of the disk, and changes of the number of cores.

#![allow(clippy::unwrap_used, reason = "clippy.toml spares unit tests only, and all of this is tests")]

#[path = "durability/crash.rs"]
mod crash;
#[path = "durability/faults.rs"]
mod faults;
#[path = "durability/guards.rs"]
mod guards;
#[path = "durability/history.rs"]
mod history;
#[path = "durability/restart.rs"]
mod restart;

use fluxion_testkit as support;
