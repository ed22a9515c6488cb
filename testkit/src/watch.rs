//! Tests that measure, or that load the machine.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Held by the one whose turn it is.
static ALONE: Mutex<()> = Mutex::new(());

/// Tests that measure, or that load the machine, take turns.
pub fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Runs `work` over and over in a thread of its own for as long as `meanwhile` takes. Returns how often, and
/// the longest that it took.
pub fn alongside(mut work: impl FnMut() + Send, meanwhile: impl FnOnce()) -> (usize, Duration) {
    struct Done<'a>(&'a AtomicBool);
    impl Drop for Done<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let (mut count, mut longest) = (0, Duration::ZERO);
            loop {
                let started = Instant::now();
                work();
                longest = longest.max(started.elapsed());
                count += 1;
                if done.load(Ordering::SeqCst) {
                    return (count, longest);
                }
            }
        });
        let guard = Done(&done);
        meanwhile();
        drop(guard);
        worker.join().unwrap()
    })
}
