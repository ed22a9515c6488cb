//! Answers to `GET /metrics` that are being made on a core: the measures of all cores come in, and whoever waits for them
//! is woken by the last. What nobody waits for any more is forgotten.

use crate::core::measures::Measures;
use crate::limits::SCRAPES_MAX;
use hashbrown::HashMap;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

#[derive(Default)]
struct Open {
    parts: Vec<Measures>,
    missing: usize,
    waker: Option<Waker>,
}

/// Those of one core.
#[derive(Default)]
pub struct Scrapes {
    open: RefCell<HashMap<u32, Open>>,
    next_number: Cell<u32>,
}

/// One of them; dropped, it is forgotten.
pub struct Scrape<'a> {
    scrapes: &'a Scrapes,
    /// Names it in messages.
    pub number: u32,
}

impl Scrapes {
    /// Begins one that waits for so many cores; none if there are as many as may be.
    pub fn begin(&self, core_count: usize) -> Option<Scrape<'_>> {
        let mut open = self.open.borrow_mut();
        if open.len() >= SCRAPES_MAX {
            return None;
        }
        let number = self.next_number.get();
        self.next_number.set(number.wrapping_add(1));
        open.insert(number, Open { missing: core_count, ..Open::default() });
        Some(Scrape { scrapes: self, number })
    }

    /// Takes what a core tells.
    pub fn add(&self, number: u32, measures: Measures) {
        if let Some(open) = self.open.borrow_mut().get_mut(&number) {
            open.parts.push(measures);
            open.missing = open.missing.saturating_sub(1);
            if let Some(waker) = open.waker.take_if(|_| open.missing == 0) {
                waker.wake();
            }
        }
    }
}

impl Scrape<'_> {
    /// Waits until all cores have told; gives what they told, in their order.
    pub async fn complete(self) -> Vec<Measures> {
        let mut parts = poll_fn(|context| {
            let mut scrapes = self.scrapes.open.borrow_mut();
            let Some(open) = scrapes.get_mut(&self.number) else { return Poll::Ready(Vec::new()) };
            if open.missing == 0 {
                return Poll::Ready(std::mem::take(&mut open.parts));
            }
            open.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
        parts.sort_by_key(|measures| measures.core);
        parts
    }
}

impl Drop for Scrape<'_> {
    fn drop(&mut self) {
        self.scrapes.open.borrow_mut().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, poll_once};

    #[test]
    fn it_waits_for_all_cores_and_is_forgotten_when_nobody_does() {
        let scrapes = Scrapes::default();
        let waiting: Vec<_> = (0..SCRAPES_MAX).filter_map(|_| scrapes.begin(2)).collect();
        assert!(waiting.len() == SCRAPES_MAX && scrapes.begin(2).is_none(), "there are enough");
        drop(waiting);
        let scrape = scrapes.begin(2).unwrap();
        let number = scrape.number;
        let mut complete = Box::pin(scrape.complete());
        scrapes.add(number, Measures { core: 1, ..Measures::default() });
        assert!(block_on(poll_once(&mut complete)).is_none());
        scrapes.add(number, Measures::default());
        let cores: Vec<_> = block_on(complete).iter().map(|measures| measures.core).collect();
        assert_eq!(cores, [0, 1]);
        scrapes.add(number, Measures::default());
        assert!(scrapes.open.borrow().is_empty());
    }
}
