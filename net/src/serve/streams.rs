//! Replies in pieces, on the core that makes them.

use crate::core::state::Core;
use crate::core::ticket::StreamId;
use crate::limits::LARGE_REPLY_BYTES;
use crate::serve::lines;

/// Takes one step of a stream.
pub fn advance(core: &Core, stream: StreamId) {
    let next = core.streams.borrow_mut().advance(stream);
    let completed = core.streams.borrow_mut().take_completed();
    if let Some((asked, bytes)) = completed.filter(|(_, bytes)| *bytes >= LARGE_REPLY_BYTES) {
        lines::large_reply(core, &asked, bytes);
    }
    if let Some((to, message)) = next {
        core.post(to, message);
    }
}
