//! One core from its first connection to its last: accepting, the passing of time, and the order of the end. Every core
//! stops accepting and answers what is in flight, closes its connections, and goes on serving the other cores' messages
//! until none has a connection; then it has stored what is left.

use crate::connection;
use crate::core::message::Message;
use crate::core::state::Core;
use crate::core::throttle::Throttle;
use crate::core::turns::{self, Turn};
use crate::limits::{ACCEPT_PAUSE, TURN};
use crate::serve::flush::flush;
use crate::serve::pages::Door;
use crate::serve::{clock, sealing, storage, subscriptions};
use crate::server::dispatch::carry_out_messages;
use crate::server::listener::Listener;
use crate::server::watch::watch;
use glommio::timer::Timer;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tracing::{debug, warn};

/// Serves until the server ends.
pub async fn run(core: Rc<Core>, listeners: Vec<(Listener, Door)>) {
    glommio::spawn_local(watch(core.clone(), core.spin())).detach();
    let accepting: Vec<_> = listeners
        .into_iter()
        .map(|(listener, door)| glommio::spawn_local(accept(core.clone(), listener, door)))
        .collect();
    glommio::spawn_local(keep_time(core.clone())).detach();
    let pacing = core.clone();
    glommio::spawn_local(async move { clock::pace(&pacing).await }).detach();
    let timing = core.clone();
    glommio::spawn_local(async move { subscriptions::keep_time(&timing, flush).await }).detach();
    let cooling = core.clone();
    glommio::spawn_local(async move { sealing::keep_cool(&cooling, flush).await }).detach();
    carry_out_messages(&core, Core::is_stopping).await;
    glommio::spawn_local(end(core.clone(), accepting)).detach();
    carry_out_messages(&core, Core::is_finished).await;
    // Only now can no core change this shard any more.
    storage::begin_last_flush(&core);
    flush(&core);
    if !storage::last_flush_is_over(&core) {
        carry_out_messages(&core, storage::last_flush_is_over).await;
    }
    storage::close(&core);
    core.sealing.close();
    core.shared.mailboxes[core.index].close();
}

/// Takes connections until it is cancelled.
async fn accept(core: Rc<Core>, listener: Listener, door: Door) {
    let mut turn = Turn::begin(TURN);
    let lines = Throttle::default();
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                if let Some(others) = lines.pass(Instant::now()) {
                    warn!(core = core.index, %error, others, "accept failed, and `others` times before");
                }
                Timer::new(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%peer, %error, "can't set TCP_NODELAY");
        }
        glommio::spawn_local(connection::serve(core.clone(), stream, peer.ip().to_canonical(), door))
            .detach();
        turn.look();
        if turn.is_over() {
            turns::next().await;
            turn = Turn::begin(TURN);
        }
    }
}

/// Sweeps the connections as time passes.
async fn keep_time(core: Rc<Core>) {
    const TICK_MIN: Duration = Duration::from_millis(20);
    const TICK_MAX: Duration = Duration::from_secs(1);
    let idle = core.options.idle_timeout;
    let shortest = core.storage.flush_interval().map_or(idle, |flush| flush.min(idle));
    let tick = (shortest / 8).clamp(TICK_MIN, TICK_MAX);
    loop {
        Timer::new(tick).await;
        clock::sweep(&core, Instant::now());
    }
}

/// Stops accepting, waits for the last connection, and counts the core out.
async fn end(core: Rc<Core>, accepting: Vec<glommio::Task<()>>) {
    const TICK: Duration = Duration::from_millis(10);
    for task in accepting {
        task.cancel().await;
    }
    while core.peers.count() > 0 {
        clock::sweep(&core, Instant::now());
        Timer::new(TICK).await;
    }
    core.shared.active_cores.fetch_sub(1, Ordering::SeqCst);
    for index in 0..core.core_count() {
        core.shared.send(index, Message::CoreDone);
    }
}
