//! Measures what it takes to hand messages to another thread and get answers. Threads sleep here on a futex, not in io_uring as
//! cores do, and are not pinned: `same_thread` is the queue alone, `round_trip` the queue and two wake-ups.

use std::thread;

use divan::Bencher;
use divan::counter::ItemsCount;
use fluxion_net::inside::Mailbox;
use futures_lite::future::block_on;

/// Ends the answering thread.
const END: u64 = u64::MAX;

/// Messages taken at once, as many as the longest burst here.
const TAKEN_MAX: usize = 64;

#[divan::bench(args = [1, TAKEN_MAX])]
fn same_thread(bencher: Bencher<'_, '_>, burst: usize) {
    let mailbox = Mailbox::default();
    let mut received = Vec::new();
    bencher.counter(ItemsCount::new(burst)).bench_local(|| {
        (0..burst as u64).for_each(|message| mailbox.push(message));
        mailbox.kick();
        received.clear();
        block_on(mailbox.receive(&mut received, TAKEN_MAX));
        assert_eq!(received.len(), burst);
    });
}

#[divan::bench(args = [1, TAKEN_MAX])]
fn round_trip(bencher: Bencher<'_, '_>, burst: usize) {
    let (there, back) = (Mailbox::default(), Mailbox::default());
    thread::scope(|scope| {
        scope.spawn(|| answer(&there, &back));
        let mut received = Vec::new();
        bencher.counter(ItemsCount::new(burst)).bench_local(|| {
            (0..burst as u64).for_each(|message| there.push(message));
            there.kick();
            received.clear();
            while received.len() < burst {
                let mut some = Vec::new();
                block_on(back.receive(&mut some, TAKEN_MAX));
                received.append(&mut some);
            }
        });
        there.push(END);
        there.kick();
    });
}

fn answer(there: &Mailbox<u64>, back: &Mailbox<u64>) {
    let mut received = Vec::new();
    loop {
        block_on(there.receive(&mut received, TAKEN_MAX));
        for message in received.drain(..) {
            if message == END {
                return;
            }
            back.push(message);
        }
        back.kick();
    }
}
