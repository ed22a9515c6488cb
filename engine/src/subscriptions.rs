//! Subscriptions to a shard's collections: who asks for what, what they have been pushed, and what is kept so that they can
//! be pushed the rest.
//!
//! A visitor of the feed notes which documents' newest records changed (`order`), and the changes themselves for those who
//! want all of them (`history`); nothing is noted of collections that nobody asks for. A subscriber is a place in these:
//! it costs nothing per change. Those who ask the same (`group`) share the bytes of what they are pushed. After a push a
//! subscription gets no other before it is given credit.
//!
//! Pushes are made only where no request is half done, from the data as it is then, so that all that a subscriber has been
//! pushed comes to the state at its cursor.

mod changes;
mod failing;
mod group;
mod history;
mod hub;
mod intake;
mod latest;
mod member;
mod order;
mod place;
mod pump;
mod records;
mod render;
mod slab;
mod slow;
mod terms;
mod tracked;

pub(crate) use hub::{Asked, Subscriptions};
pub(crate) use pump::Now;
pub use pump::Push;
pub use terms::{Accepted, Missed, Mode, Receiver, Slow, SubscriptionId, Terms};
