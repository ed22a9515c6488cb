//! Starts and ends the cores. The order of the end: every core stops accepting and answers what is in
//! flight, closes its connections, and goes on serving the other cores' messages until none has a connection.

use crate::connection;
pub(crate) use crate::core::Shared;
use crate::core::{Core, Stored};
use crate::handshake;
use crate::journal::{JournalOptions, LoadShard, Reporter, StartWriter, StoredShard};
use crate::keys::Scope;
use crate::limits::{ACCEPT_PAUSE, IO_MEMORY_BYTES, RING_DEPTH};
use crate::mailbox::Mailbox;
use crate::message::Message;
use crossbeam_channel::Sender;
use fluxion_engine::{Batch, Shard};
use futures_lite::AsyncWriteExt;
use glommio::net::{TcpListener, TcpStream};
use glommio::timer::Timer;
use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement};
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use tracing::{debug, warn};

/// How the server is to run.
pub struct ServerOptions {
    /// Where to listen; port 0 takes any free one.
    pub address: SocketAddr,
    /// One core each, pinned to the CPU or not pinned.
    pub cpus: Vec<Option<usize>>,
    /// How long an idle core looks for work before it sleeps; only for pinned cores.
    pub spin: Duration,
    /// The key that may do everything.
    pub master_key: String,
    /// Longest message taken from a client.
    pub message_bytes_max: usize,
    /// Most connections at a time, over all cores.
    pub connections_max: usize,
    /// Silence after which a connection is dropped; at half of it, it is pinged.
    pub idle_timeout: Duration,
    /// Take LTDB's authentication by first message.
    pub legacy_auth: bool,
}

/// Why the server did not start, or did not end well.
#[derive(Debug)]
pub enum ServerError {
    /// The address can't be listened on.
    Listen(SocketAddr, String),
    /// A core's thread could not be started or has failed.
    Core(usize, String),
    /// The data of a shard can't be read, or its writer can't be started.
    Storage(String),
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerError::Listen(address, why) => write!(f, "can't listen on {address}: {why}"),
            ServerError::Storage(why) => f.write_str(why),
            ServerError::Core(index, why) => write!(f, "core {index} failed: {why}"),
        }
    }
}

impl std::error::Error for ServerError {}

impl ServerError {
    fn ended() -> ServerError {
        ServerError::Storage("a core's thread ended while starting".into())
    }
}

/// A running server.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    threads: Vec<ExecutorJoinHandle<()>>,
}

/// How data outlives the server.
pub struct Persistence {
    /// When changes are stored.
    pub journal: JournalOptions,
    /// One a core.
    pub shards: Vec<StoredShard>,
    /// The API keys that were stored.
    pub api_keys: Vec<(String, Scope)>,
}

/// Ends a server, from any thread.
#[derive(Clone)]
pub struct Stopper(Arc<Shared>);

impl Stopper {
    /// Has every core answer what is in flight, close its connections and end.
    pub fn stop(&self) {
        for mailbox in &self.0.mailboxes {
            mailbox.push(Message::Stop);
            mailbox.kick();
        }
    }
}

impl Server {
    /// Loads all shards, each on its own core, and starts listening. Without `persistence` data lives in memory only.
    pub fn start(options: ServerOptions, persistence: Option<Persistence>) -> Result<Server, ServerError> {
        let core_count = options.cpus.len();
        let shared = Arc::new(Shared {
            mailboxes: (0..core_count).map(|_| Mailbox::default()).collect(),
            connection_count: AtomicUsize::new(0),
            active_cores: AtomicUsize::new(core_count),
        });
        let options = Arc::new(options);
        let (loads, writers) = split_persistence(persistence, core_count);
        let mut starting = Vec::new();
        for (index, load) in loads.into_iter().enumerate() {
            starting.push(StartingCore::spawn(index, load, options.clone(), shared.clone())?);
        }
        for core in &starting {
            core.wait_until_loaded()?;
        }
        // Only now: a file that turns out to be damaged is to be left as it is.
        let starts = writers.start(&shared)?;
        let mut server = Server { address: options.address, shared, threads: Vec::new() };
        for (index, (core, start)) in starting.into_iter().zip(starts).enumerate() {
            // The first core finds the port when it is 0; the others join it there.
            match core.listen(server.address, start) {
                Ok((thread, address)) => {
                    server.address = address;
                    server.threads.push(thread);
                }
                Err(error) => {
                    server.shared.active_cores.fetch_sub(core_count - index, Ordering::SeqCst);
                    server.stopper().stop();
                    let _ = server.join();
                    return Err(error);
                }
            }
        }
        Ok(server)
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What ends it.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.shared.clone())
    }

    /// Waits until it has ended.
    pub fn join(self) -> Result<(), ServerError> {
        for (index, thread) in self.threads.into_iter().enumerate() {
            thread.join().map_err(|error| ServerError::Core(index, error.to_string()))?;
        }
        Ok(())
    }
}

/// glommio 0.9 may put a core to sleep with tasks ready to run when its preemption timer fires just before
/// they would have: seen as stalls of up to a second. So the timer is as good as off, and every long-running
/// task takes turns by itself: see `turn::next`.
const PREEMPT_INTERVAL: Duration = Duration::from_secs(3600);

/// The writers of all cores, not yet started.
struct Writers {
    starts: Vec<Option<StartWriter>>,
    options: Option<JournalOptions>,
    api_keys: Arc<[(String, Scope)]>,
}

/// What a core gets, beside its shard, to begin with.
struct Start {
    journal: Option<(JournalOptions, Sender<Batch>)>,
    api_keys: Arc<[(String, Scope)]>,
}

fn split_persistence(
    persistence: Option<Persistence>,
    core_count: usize,
) -> (Vec<Option<LoadShard>>, Writers) {
    let Some(Persistence { journal, shards, api_keys }) = persistence else {
        let (loads, starts) = (0..core_count).map(|_| (None, None)).unzip();
        return (loads, Writers { starts, options: None, api_keys: Arc::default() });
    };
    assert_eq!(shards.len(), core_count);
    let split = shards.into_iter().map(|StoredShard { load, start }| (Some(load), Some(start)));
    let (loads, starts) = split.unzip();
    (loads, Writers { starts, options: Some(journal), api_keys: api_keys.into() })
}

impl Writers {
    fn start(self, shared: &Arc<Shared>) -> Result<Vec<Start>, ServerError> {
        let Writers { starts, options, api_keys } = self;
        let start = |(core, start): (usize, Option<StartWriter>)| {
            let reporter = Reporter { shared: shared.clone(), core };
            let sender = start.map(|start| start(reporter)).transpose().map_err(ServerError::Storage)?;
            Ok(Start { journal: options.zip(sender), api_keys: api_keys.clone() })
        };
        starts.into_iter().enumerate().map(start).collect()
    }
}

fn filled_shard(load: Option<LoadShard>) -> Result<Shard, ServerError> {
    let mut shard = Shard::new();
    if let Some(load) = load {
        load(&mut shard).map_err(ServerError::Storage)?;
    }
    Ok(shard)
}

/// A core whose thread has been started. Dropped before it listens, it ends by itself.
struct StartingCore {
    thread: ExecutorJoinHandle<()>,
    loaded: mpsc::Receiver<Result<(), ServerError>>,
    go: mpsc::Sender<(SocketAddr, Start)>,
    listening: mpsc::Receiver<Result<SocketAddr, ServerError>>,
}

impl StartingCore {
    fn spawn(
        index: usize,
        load: Option<LoadShard>,
        options: Arc<ServerOptions>,
        shared: Arc<Shared>,
    ) -> Result<StartingCore, ServerError> {
        let placement = options.cpus[index].map_or(Placement::Unbound, Placement::Fixed);
        let mut builder = LocalExecutorBuilder::new(placement)
            .name(&format!("core-{index}"))
            .io_memory(IO_MEMORY_BYTES)
            .ring_depth(RING_DEPTH)
            .preempt_timer(PREEMPT_INTERVAL);
        if options.cpus[index].is_some() && !options.spin.is_zero() {
            builder = builder.spin_before_park(options.spin);
        }
        let (report_loaded, loaded) = mpsc::channel();
        let (go, going) = mpsc::channel();
        let (report_listening, listening) = mpsc::channel();
        let run = move || async move {
            let shard = match filled_shard(load) {
                Ok(shard) => shard,
                Err(error) => return drop(report_loaded.send(Err(error))),
            };
            let _ = report_loaded.send(Ok(()));
            // Nothing else runs on this thread yet, so it may wait; the sender is gone if another core failed.
            let Ok((address, Start { journal, api_keys })) = going.recv() else { return };
            let stored = Stored { shard, journal, api_keys };
            match TcpListener::bind(address).and_then(|listener| Ok((listener.local_addr()?, listener))) {
                Ok((address, listener)) => {
                    let _ = report_listening.send(Ok(address));
                    run_core(Rc::new(Core::new(index, options, shared, stored)), listener).await;
                }
                Err(error) => {
                    let _ = report_listening.send(Err(ServerError::Listen(address, error.to_string())));
                }
            }
        };
        let thread = builder.spawn(run).map_err(|error| ServerError::Core(index, error.to_string()))?;
        Ok(StartingCore { thread, loaded, go, listening })
    }

    fn wait_until_loaded(&self) -> Result<(), ServerError> {
        self.loaded.recv().unwrap_or_else(|_| Err(ServerError::ended()))
    }

    fn listen(
        self,
        address: SocketAddr,
        start: Start,
    ) -> Result<(ExecutorJoinHandle<()>, SocketAddr), ServerError> {
        let _ = self.go.send((address, start));
        let address = self.listening.recv().unwrap_or_else(|_| Err(ServerError::ended()))?;
        Ok((self.thread, address))
    }
}

async fn run_core(core: Rc<Core>, listener: TcpListener) {
    let accepting = glommio::spawn_local(accept(core.clone(), listener));
    glommio::spawn_local(keep_time(core.clone())).detach();
    let pacing = core.clone();
    glommio::spawn_local(async move { pacing.pace().await }).detach();
    core.carry_out_messages(Core::stopping).await;
    glommio::spawn_local(end(core.clone(), accepting)).detach();
    core.carry_out_messages(Core::finished).await;
    // Only now can no core change this shard any more.
    core.begin_last_flush();
    if !core.last_flush_is_over() {
        core.carry_out_messages(Core::last_flush_is_over).await;
    }
    core.close_journal();
    core.shared.mailboxes[core.index].close();
}

/// Takes connections until it is cancelled.
async fn accept(core: Rc<Core>, listener: TcpListener) {
    loop {
        let stream = match listener.accept().await {
            Ok(stream) => stream,
            Err(error) => {
                warn!(core = core.index, %error, "accept failed");
                Timer::new(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(peer) = stream.peer_addr() else { continue };
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%peer, %error, "can't set TCP_NODELAY");
        }
        glommio::spawn_local(serve_counted(core.clone(), stream, peer)).detach();
    }
}

async fn serve_counted(core: Rc<Core>, mut stream: TcpStream, peer: SocketAddr) {
    let count = &core.shared.connection_count;
    let others = count.fetch_add(1, Ordering::Relaxed);
    if others < core.options.connections_max {
        connection::serve(core.clone(), stream, peer.ip().to_canonical()).await;
    } else {
        warn!(%peer, connections = others, "refused: --max-connections reached");
        let response = handshake::refusal(503, "too many connections");
        let _ = stream.write_all(&response).await;
        let _ = stream.close().await;
    }
    count.fetch_sub(1, Ordering::Relaxed);
}

/// Sweeps the connections as time passes.
async fn keep_time(core: Rc<Core>) {
    const TICK_MIN: Duration = Duration::from_millis(20);
    const TICK_MAX: Duration = Duration::from_secs(1);
    let shortest =
        core.flush_interval().map_or(core.options.idle_timeout, |flush| flush.min(core.options.idle_timeout));
    let tick = (shortest / 8).clamp(TICK_MIN, TICK_MAX);
    loop {
        Timer::new(tick).await;
        core.sweep(Instant::now());
    }
}

/// Stops accepting, waits for the last connection, and counts the core out.
async fn end(core: Rc<Core>, accepting: glommio::Task<()>) {
    const TICK: Duration = Duration::from_millis(10);
    accepting.cancel().await;
    while core.has_links() {
        core.sweep(Instant::now());
        Timer::new(TICK).await;
    }
    core.shared.active_cores.fetch_sub(1, Ordering::SeqCst);
    for mailbox in &core.shared.mailboxes {
        mailbox.push(Message::CoreDone);
        mailbox.kick();
    }
}
