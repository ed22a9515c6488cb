//! Subscriptions to what changes in this shard, and the pushes that there are for them.

use super::state::Shard;
use crate::error::Error;
use crate::feed::Visited;
use crate::limits::INTAKE_STEPS_MAX;
use crate::subscriptions::{Accepted, Asked, Now, Push, Receiver, SubscriptionId, Terms};

impl Shard {
    /// Sets what the cursors of this life of the shard are told from those of others by, before there is a subscription.
    /// Those of the life before, if all of it is known, are good up to where this one begins.
    pub fn set_epoch(&mut self, epoch: u64, before: Option<u64>) {
        let begins_at = self.feed.next_number();
        self.subscriptions.set_epoch(epoch, before.map(|before| (before, begins_at)));
    }

    /// Whether it was given an epoch.
    pub fn has_epoch(&self) -> bool {
        self.subscriptions.has_epoch()
    }

    /// The collections with subscriptions, or with some lately, each with the number of the first change from which on it
    /// has not changed: for the next life of the shard.
    pub fn unchanged(&self) -> Vec<(String, u64)> {
        self.subscriptions.unchanged().map(|(name, number)| (name.to_owned(), number)).collect()
    }

    /// Notes of a collection what the life before knew of it, so that cursors from that number on can be gone on from.
    pub fn note_unchanged(&mut self, collection: &str, number: u64) {
        let next_number = self.feed.next_number();
        if number <= next_number {
            self.subscriptions.note_unchanged(collection, number, next_number);
            self.feed.set_visited(true);
        }
    }

    /// Adds a subscription, which is pushed to by `pump`. Time is in milliseconds, from any beginning.
    pub fn subscribe(
        &mut self,
        terms: &Terms<&str>,
        receiver: Receiver,
        now_ms: u64,
    ) -> Result<Accepted, Error> {
        let names = terms.document.map(|document| self.patterns.name_test(document)).transpose()?;
        let filter = self.patterns.filter(terms.contains, terms.excludes)?.into_owned();
        let next_number = self.feed.next_number();
        let accepted = self.subscriptions.add(Asked { terms, names, filter, receiver, next_number, now_ms });
        self.feed.set_visited(!self.subscriptions.is_idle());
        accepted
    }

    /// Ends a subscription, if it is still there.
    pub fn unsubscribe(&mut self, id: SubscriptionId, now_ms: u64) {
        self.subscriptions.remove(id, now_ms);
    }

    /// Says that a subscription has taken what it was pushed.
    pub fn give_credit(&mut self, id: SubscriptionId, now_ms: u64) {
        self.subscriptions.take_credit(id, now_ms);
    }

    /// Learns of some of what has changed without making pushes; gives whether it is to be called again soon.
    pub fn learn_changes(&mut self) -> bool {
        self.subscriptions.take_in(&mut self.feed, &self.collections) == Visited::More
    }

    /// Makes pushes of what has changed, a bounded part of them; gives whether it is to be called again soon. While a
    /// change goes on in steps there are none.
    pub fn pump(&mut self, now_ms: u64, pushes: &mut Vec<Push>) -> bool {
        let Self { subscriptions, feed, collections, .. } = self;
        subscriptions.check_slow(now_ms, pushes);
        // The last burst before a batch is handed over may be longer than a step, and the next chance is the next batch.
        let mut visited = subscriptions.take_in(feed, collections);
        for _ in 1..INTAKE_STEPS_MAX {
            if visited == Visited::More {
                visited = subscriptions.take_in(feed, collections);
            }
        }
        match visited {
            Visited::More => true,
            Visited::Unfinished => false,
            Visited::All => {
                let now = Now { number: feed.next_number(), ms: now_ms };
                !feed.is_between_steps() && subscriptions.pump(now, collections, pushes)
            }
        }
    }

    /// Forgets what no subscription has needed for long. Now and then.
    pub fn expire_subscriptions(&mut self, now_ms: u64) {
        self.subscriptions.expire(now_ms);
        if self.subscriptions.is_idle() {
            self.feed.set_visited(false);
        }
    }

    /// Whether `pump` is of any use: there are subscriptions, or were lately.
    pub fn has_subscriptions(&self) -> bool {
        !self.subscriptions.is_idle()
    }

    /// The number of subscriptions.
    pub fn subscription_count(&self) -> usize {
        self.subscriptions.len()
    }

    /// The memory of what is kept for subscriptions of what changed.
    pub fn subscription_bytes(&self) -> usize {
        self.subscriptions.bytes()
    }

    /// How far the subscriptions are behind: how many have been pushed less than all, and by how many changes of the shard
    /// the last of them is.
    pub fn subscription_lag(&self) -> (usize, u64) {
        self.subscriptions.lag(self.feed.next_number())
    }

    /// Changes that subscriptions were told they had missed.
    pub fn skipped_changes(&self) -> u64 {
        self.subscriptions.skipped_told
    }

    /// The next time at which `pump` is to be called although nothing has changed.
    pub fn subscriptions_due_ms(&self) -> Option<u64> {
        self.subscriptions.next_due_ms()
    }
}
