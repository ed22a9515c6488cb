//! The task that watches a core's sockets: round after round while there is something to do, then for a moment without
//! sleeping, then asleep.

use crate::connection::release;
use crate::core::state::Core;
use crate::core::throttle::Throttle;
use crate::core::turns::{self, Turn};
use crate::limits::{LOOK_PAUSE, SPIN_SLICE, TURN};
use futures_lite::future::yield_now;
use futures_lite::io::AsyncRead;
use glommio::net::TcpStream;
use glommio::timer::Timer;
use std::future::poll_fn;
use std::hint::spin_loop;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tracing::warn;

/// Watches until the core ends.
pub async fn watch(core: Rc<Core>, spin: Duration) {
    let lines = Throttle::default();
    loop {
        if let Err(error) = watch_sockets(&core, spin).await {
            if let Some(others) = lines.pass(Instant::now()) {
                warn!(core = core.index, %error, others, "can't wait for the sockets, and `others` times before");
            }
            Timer::new(LOOK_PAUSE).await;
        }
    }
}

async fn watch_sockets(core: &Core, spin: Duration) -> io::Result<()> {
    let mut turn = Turn::begin(TURN);
    let mut left = spin;
    loop {
        let bursts = core.bursts.get();
        let found = core.readiness.look()?;
        core.held.open();
        yield_now().await;
        release(core, true);
        let nothing_ran = found == 0 && core.bursts.get() == bursts;
        turn.look();
        if !nothing_ran {
            left = spin;
        }
        // Timers and other cores are looked at by the executor, which does so when no task is ready, so this one must
        // not go on being ready.
        if turn.is_over() || nothing_ran && core.turns.are_awaited() {
            turns::next().await;
            turn = Turn::begin(TURN);
        } else if nothing_ran {
            // So none is ready that another has woken, and none waits while this one spins.
            let slice = left.min(SPIN_SLICE);
            left -= slice;
            match spin_for(core, slice)? {
                Found::Socket => {}
                // Who drains it may have been called by another core.
                Found::Mail => turns::next().await,
                // The executor looks at the timers.
                Found::Nothing if !left.is_zero() => turns::next().await,
                Found::Nothing => {
                    sleep(core).await?;
                    left = spin;
                    turn = Turn::begin(TURN);
                }
            }
        }
    }
}

enum Found {
    Socket,
    Mail,
    Nothing,
}

/// Looks at sockets and mailbox until there is something in them, or the time is over.
fn spin_for(core: &Core, spin: Duration) -> io::Result<Found> {
    if spin.is_zero() {
        return Ok(Found::Nothing);
    }
    let mailbox = &core.shared.mailboxes[core.index];
    let _attended = mailbox.attend();
    let began = Instant::now();
    let (mut now, mut found) = (began, Found::Nothing);
    while now - began < spin {
        if core.readiness.look()? > 0 {
            found = Found::Socket;
            break;
        }
        if mailbox.waiting() > 0 {
            found = Found::Mail;
            break;
        }
        spin_loop();
        now = Instant::now();
    }
    core.counters.spin_ns.add((now - began).as_nanos() as u64);
    Ok(found)
}

/// Waits until a look at the sockets would find something. The executor can wait for streams only, so the set is dressed
/// as one: once it is ready an attempt to read fails, as it is no stream, and there is a new one for each wait.
async fn sleep(core: &Core) -> io::Result<()> {
    let set = std::net::TcpStream::from(core.readiness.descriptor()?);
    let mut stream = TcpStream::from(socket2::Socket::from(set));
    let _ = poll_fn(|context| Pin::new(&mut stream).poll_read(context, &mut [0])).await;
    Ok(())
}
