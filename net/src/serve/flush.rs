//! The end of a burst of work on a core.

use crate::core::state::Core;
use crate::serve::{memory, sealing, storage, subscriptions};

/// Hands changes over, pushes them to who has subscribed, has chunks sealed, looks after memory, and wakes the cores and connections that
/// something was left for. Once after each burst.
pub fn flush(core: &Core) {
    core.bursts.set(core.bursts.get() + 1);
    storage::tend(core);
    subscriptions::tend(core);
    sealing::tend(core);
    memory::watch(core);
    core.deliver();
}
