//! The task that watches a core's sockets: round after round while there is something to do, then for a moment without
//! sleeping, then asleep.

use crate::core::state::Core;
use crate::core::turns::{self, Turn};
use crate::limits::TURN;
use futures_lite::future::yield_now;
use futures_lite::io::AsyncRead;
use glommio::net::TcpStream;
use std::future::poll_fn;
use std::hint::spin_loop;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tracing::warn;

/// Watches until the core ends.
pub async fn watch(core: Rc<Core>, spin: Duration) {
    loop {
        if let Err(error) = watch_sockets(&core, spin).await {
            warn!(core = core.index, %error, "can't look at the sockets");
            turns::next().await;
        }
    }
}

async fn watch_sockets(core: &Core, spin: Duration) -> io::Result<()> {
    loop {
        // Timers and other cores are looked at by the executor, which does so when no task is ready, so this one must
        // not go on being ready.
        let mut turn = Turn::begin(TURN);
        while core.readiness.look()? > 0 {
            yield_now().await;
            turn.look();
            if turn.is_over() {
                break;
            }
        }
        let bursts = core.bursts.get();
        turns::next().await;
        yield_now().await;
        if turn.is_over() || core.bursts.get() != bursts {
            continue;
        }
        // No task has run, so none is ready that another has woken, and none waits while this one spins.
        if spin_for(core, spin)? {
            yield_now().await;
        } else {
            sleep(core).await?;
        }
    }
}

/// Looks at sockets and mailbox until there is something in them, or the time is over: then false.
fn spin_for(core: &Core, spin: Duration) -> io::Result<bool> {
    if spin.is_zero() {
        return Ok(false);
    }
    let mailbox = &core.shared.mailboxes[core.index];
    let _attended = mailbox.attend();
    let ends = Instant::now() + spin;
    while Instant::now() < ends {
        if core.readiness.look()? > 0 || mailbox.waiting() > 0 {
            return Ok(true);
        }
        spin_loop();
    }
    Ok(false)
}

/// Waits until a look at the sockets would find something. The executor can wait for streams only, so the set is dressed
/// as one: once it is ready an attempt to read fails, as it is no stream, and there is a new one for each wait.
async fn sleep(core: &Core) -> io::Result<()> {
    let set = std::net::TcpStream::from(core.readiness.descriptor()?);
    let mut stream = TcpStream::from(socket2::Socket::from(set));
    let _ = poll_fn(|context| Pin::new(&mut stream).poll_read(context, &mut [0])).await;
    Ok(())
}
