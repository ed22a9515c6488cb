//! The start of the server, in a straight line: the cores' threads fill their shards, then the writers are started by
//! whoever has them, then the cores listen. And its end, asked for from any thread.

use crate::core::certificates::Certificates;
use crate::core::handover::StorageOptions;
use crate::core::message::Message;
use crate::core::readiness::Readiness;
use crate::core::sealing::SealingSender;
use crate::core::state::{Core, Shared, Start};
use crate::core::tally::TallyLimits;
use crate::core::ticket::CoreIndex;
use crate::limits::{IO_MEMORY_BYTES, RING_DEPTH, START_PATIENCE, START_PAUSE};
use crate::options::{ServerOptions, TlsOptions};
use crate::requests::scope::Scope;
use crate::serve::pages::Door;
use crate::server::listener::Listener;
use crate::server::run::run;
use crate::server::sealer;
use crossbeam_channel::Sender;
use fluxion_engine::{Batch, ChunkSizes, Shard};
use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The reason for which a shard could not be filled, as whoever fills it says.
pub type LoadError = Box<dyn std::error::Error + Send + Sync>;

/// Fills a shard with what was stored, on the core's own thread.
pub type Loader = Box<dyn FnOnce(&mut Shard) -> Result<(), LoadError> + Send>;

/// The way in which data outlives the server.
pub struct Persistence {
    /// When changes are stored.
    pub options: StorageOptions,
    /// Take the changes, one a core.
    pub writers: Vec<Sender<Batch>>,
    /// The API keys that were stored.
    pub api_keys: Vec<(String, Scope)>,
}

/// The reasons for which a server does not start, or does not end well.
#[derive(Debug)]
pub enum ServerError {
    /// The address can't be listened on.
    Listen(SocketAddr, String),
    /// A core's thread could not be started or has failed.
    Core(usize, String),
    /// The data of a shard can't be read.
    Load(LoadError),
    /// The thread that seals chunks could not be started or has failed.
    Sealer(String),
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerError::Listen(address, why) => write!(f, "can't listen on {address}: {why}"),
            ServerError::Core(index, why) => write!(f, "core {index} failed: {why}"),
            ServerError::Load(why) => why.fmt(f),
            ServerError::Sealer(why) => write!(f, "the thread that seals chunks failed: {why}"),
        }
    }
}

impl std::error::Error for ServerError {}

/// Answers a core on behalf of its writer, from any thread.
#[derive(Clone)]
pub struct Reporter {
    shared: Arc<Shared>,
    core: CoreIndex,
}

impl Reporter {
    /// The batch is stored.
    pub fn committed(&self) {
        self.shared.send(self.core, Message::Committed);
    }

    /// The batch could not be stored; it is kept, and will be tried again.
    pub fn failed(&self, why: String) {
        self.shared.send(self.core, Message::CommitFailed(why.into()));
    }
}

/// Ends a server, from any thread.
#[derive(Clone)]
pub struct Stopper(Arc<Shared>);

impl Stopper {
    /// Has every core answer what is in flight, close its connections and end.
    pub fn stop(&self) {
        for index in 0..self.0.mailboxes.len() {
            self.0.send(index, Message::Stop);
        }
    }
}

/// Has a server show another certificate, from any thread.
#[derive(Clone)]
pub struct Renewer(Arc<Shared>);

impl Renewer {
    /// Has every core show it to those who connect from now on.
    pub fn renew(&self, certificates: &Certificates) {
        for index in 0..self.0.mailboxes.len() {
            self.0.send(index, Message::RenewCertificates(certificates.clone()));
        }
    }
}

/// A server whose shards are filled, and which does not listen yet. Dropped, it ends.
pub struct LoadedServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    cores: Vec<StartingCore>,
    sealing_cpus: Vec<usize>,
    secure_address: Option<SocketAddr>,
}

/// A running server.
pub struct Server {
    address: SocketAddr,
    pages_address: Option<SocketAddr>,
    secure_address: Option<SocketAddr>,
    shared: Arc<Shared>,
    threads: Vec<ExecutorJoinHandle<()>>,
    sealer: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts the cores, each of which fills its shard; without loaders they are empty.
    pub fn load(options: ServerOptions, loaders: Vec<Loader>) -> Result<LoadedServer, ServerError> {
        let core_count = options.cpus.len();
        assert!(loaders.is_empty() || loaders.len() == core_count);
        let limits = TallyLimits {
            all: options.connections_max,
            per_key: options.connections_per_key_max,
            per_address: options.connections_per_address_max,
        };
        let shared = Arc::new(Shared::new(core_count, limits));
        let secure_address = options.tls.as_ref().and_then(|tls| tls.address);
        let (address, sealing_cpus) = (options.address, options.sealing_cpus.clone());
        let options = Arc::new(options);
        let loaders = loaders.into_iter().map(Some).chain(std::iter::repeat_with(|| None));
        let begun = Instant::now();
        let start = |(index, load): (CoreIndex, Option<Loader>)| {
            let load = Arc::new(Mutex::new(load));
            StartingCore::spawn(index, load, options.clone(), shared.clone())
        };
        let starting = (0..core_count).zip(loaders).map(start).collect::<Result<Vec<_>, _>>()?;
        let cores = starting.into_iter().map(|core| core.loaded(begun, &options, &shared));
        let cores = cores.collect::<Result<_, _>>()?;
        Ok(LoadedServer { address, shared, cores, sealing_cpus, secure_address })
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it serves health and metrics, if that is an address of their own.
    pub fn pages_address(&self) -> Option<SocketAddr> {
        self.pages_address
    }

    /// Where it speaks TLS, if that is another address than the main one.
    pub fn secure_address(&self) -> Option<SocketAddr> {
        self.secure_address
    }

    /// The way to show another certificate.
    pub fn renewer(&self) -> Renewer {
        Renewer(self.shared.clone())
    }

    /// Its end, for whoever asks for it.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.shared.clone())
    }

    /// Waits until it has ended.
    pub fn join(self) -> Result<(), ServerError> {
        for (index, thread) in self.threads.into_iter().enumerate() {
            thread.join().map_err(|error| ServerError::Core(index, error.to_string()))?;
        }
        match self.sealer.map(JoinHandle::join) {
            Some(Err(_)) => Err(ServerError::Sealer("it has panicked".into())),
            Some(Ok(())) | None => Ok(()),
        }
    }
}

impl LoadedServer {
    /// Takes the answers of the writers, one a core.
    pub fn reporters(&self) -> Vec<Reporter> {
        (0..self.cores.len()).map(|core| Reporter { shared: self.shared.clone(), core }).collect()
    }

    /// Starts listening. Without `persistence` data lives in memory only.
    pub fn serve(self, persistence: Option<Persistence>) -> Result<Server, ServerError> {
        let core_count = self.cores.len();
        let (sealing, sealer) = sealer::start(self.shared.clone(), self.sealing_cpus)
            .map_err(|error| ServerError::Sealer(error.to_string()))?;
        let mut server = Server {
            address: self.address,
            pages_address: None,
            secure_address: self.secure_address,
            shared: self.shared,
            threads: Vec::new(),
            sealer: None,
        };
        let starts = starts(persistence, core_count, sealing);
        for (index, (core, start)) in self.cores.into_iter().zip(starts).enumerate() {
            // The first core finds the port when it is 0; the others join it there.
            match core.listen(Ports { address: server.address, secure: server.secure_address }, start) {
                Ok((thread, listening)) => {
                    server.address = listening.ports.address;
                    server.secure_address = listening.ports.secure;
                    server.pages_address = server.pages_address.or(listening.pages);
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
        server.sealer = Some(sealer);
        Ok(server)
    }
}

/// glommio 0.9 may put a core to sleep with tasks ready to run when its preemption timer fires just before
/// they would have: seen as stalls of up to a second. So the timer is as good as off, and every long-running
/// task takes turns by itself: see `core::turns`.
const PREEMPT_INTERVAL: Duration = Duration::from_secs(3600);

/// Given to a core, beside its shard, to begin with.
struct Storing {
    writer: Option<(StorageOptions, Sender<Batch>)>,
    api_keys: Arc<[(String, Scope)]>,
    sealing: SealingSender,
}

fn starts(persistence: Option<Persistence>, core_count: usize, sealing: SealingSender) -> Vec<Storing> {
    let Some(Persistence { options, writers, api_keys }) = persistence else {
        let start = |sealing| Storing { writer: None, api_keys: Arc::default(), sealing };
        return std::iter::repeat_n(sealing, core_count).map(start).collect();
    };
    assert_eq!(writers.len(), core_count);
    let api_keys: Arc<[_]> = api_keys.into();
    let start = |sender| Storing {
        writer: Some((options, sender)),
        api_keys: api_keys.clone(),
        sealing: sealing.clone(),
    };
    writers.into_iter().map(start).collect()
}

/// Where all cores listen.
#[derive(Clone, Copy)]
struct Ports {
    address: SocketAddr,
    /// The one for TLS, if that is another.
    secure: Option<SocketAddr>,
}

/// Where a core listens.
struct Listening {
    ports: Ports,
    pages: Option<SocketAddr>,
}

/// What fills a core's shard; still there if its executor could not be made.
type SharedLoader = Arc<Mutex<Option<Loader>>>;

/// A core whose thread has been started. Dropped before it listens, it ends by itself.
struct StartingCore {
    index: CoreIndex,
    load: SharedLoader,
    thread: ExecutorJoinHandle<()>,
    loaded: mpsc::Receiver<Result<(), ServerError>>,
    go: mpsc::Sender<(Ports, Storing)>,
    listening: mpsc::Receiver<Result<Listening, ServerError>>,
}

impl StartingCore {
    fn spawn(
        index: CoreIndex,
        load: SharedLoader,
        options: Arc<ServerOptions>,
        shared: Arc<Shared>,
    ) -> Result<StartingCore, ServerError> {
        let (report_loaded, loaded) = mpsc::channel();
        let (go, going) = mpsc::channel();
        let (report_listening, listening) = mpsc::channel();
        let builder = executor(index, &options);
        let taken = load.clone();
        let begin = move || async move {
            let mut shard = Shard::with_sizes(ChunkSizes { seals: true, ..ChunkSizes::default() });
            let load = taken.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Err(why) = load.map_or(Ok(()), |load| load(&mut shard)) {
                return drop(report_loaded.send(Err(ServerError::Load(why))));
            }
            let _ = report_loaded.send(Ok(()));
            // Nothing else runs on this thread yet, so it may wait; the sender is gone if another core failed.
            let Ok((ports, Storing { writer, api_keys, sealing })) = going.recv() else { return };
            // One listens for the pages of all.
            let pages = options.pages_address.filter(|_| index == 0);
            let main = match &options.tls {
                Some(TlsOptions { address: None, .. }) => Door::Secure,
                _ => Door::Main,
            };
            match listen(ports, main, pages) {
                Ok((listening, listeners, readiness)) => {
                    let _ = report_listening.send(Ok(listening));
                    let start = Start { shard, writer, api_keys, sealing, readiness };
                    run(Rc::new(Core::new(index, options, shared, start)), listeners).await;
                }
                Err(error) => drop(report_listening.send(Err(error))),
            }
        };
        let thread = builder.spawn(begin).map_err(|error| ServerError::Core(index, error.to_string()))?;
        Ok(StartingCore { index, load, thread, loaded, go, listening })
    }

    /// Waits until the shard is filled. The kernel gives the locked memory of an earlier server back only a while after
    /// its end, so a core whose executor could not be made is tried again for some time.
    fn loaded(
        self,
        begun: Instant,
        options: &Arc<ServerOptions>,
        shared: &Arc<Shared>,
    ) -> Result<StartingCore, ServerError> {
        let mut core = self;
        loop {
            if let Ok(loaded) = core.loaded.recv() {
                return loaded.map(|()| core);
            }
            let StartingCore { index, load, thread, .. } = core;
            let why = thread.join().map_or_else(|error| error.to_string(), |()| "its thread ended".into());
            if begun.elapsed() > START_PATIENCE {
                return Err(ServerError::Core(index, format!("{why}, while starting")));
            }
            std::thread::sleep(START_PAUSE);
            core = StartingCore::spawn(index, load, options.clone(), shared.clone())?;
        }
    }

    fn listen(
        self,
        ports: Ports,
        start: Storing,
    ) -> Result<(ExecutorJoinHandle<()>, Listening), ServerError> {
        let _ = self.go.send((ports, start));
        let ended = || ServerError::Core(self.index, "its thread ended while starting".into());
        let listening = self.listening.recv().unwrap_or_else(|_| Err(ended()))?;
        Ok((self.thread, listening))
    }
}

fn executor(index: CoreIndex, options: &ServerOptions) -> LocalExecutorBuilder {
    let placement = options.cpus[index].map_or(Placement::Unbound, Placement::Fixed);
    LocalExecutorBuilder::new(placement)
        .name(&format!("core-{index}"))
        .io_memory(IO_MEMORY_BYTES)
        .ring_depth(RING_DEPTH)
        .preempt_timer(PREEMPT_INTERVAL)
}

type Listeners = (Listening, Vec<(Listener, Door)>, Rc<Readiness>);

fn listen(ports: Ports, main: Door, pages: Option<SocketAddr>) -> Result<Listeners, ServerError> {
    let at = |address: SocketAddr| move |error: io::Error| ServerError::Listen(address, error.to_string());
    let readiness = Rc::new(Readiness::new().map_err(at(ports.address))?);
    let mut listeners = Vec::new();
    let mut bind = |address: SocketAddr, door: Door| {
        let listener = Listener::bind(address, readiness.clone()).map_err(at(address))?;
        let bound = listener.local_addr().map_err(at(address))?;
        listeners.push((listener, door));
        Ok(bound)
    };
    let address = bind(ports.address, main)?;
    let secure = ports.secure.map(|address| bind(address, Door::Secure)).transpose()?;
    let pages = pages.map(|address| bind(address, Door::Pages)).transpose()?;
    Ok((Listening { ports: Ports { address, secure }, pages }, listeners, readiness))
}
