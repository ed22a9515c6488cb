//! Replies in pieces, on the core that makes them.

use crate::core::state::Core;
use crate::core::ticket::StreamId;

/// Takes one step of a stream.
pub fn advance(core: &Core, stream: StreamId) {
    let next = core.streams.borrow_mut().advance(stream);
    if let Some((to, message)) = next {
        core.post(to, message);
    }
}
