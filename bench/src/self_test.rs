//! The tool's own ceiling: a run against the wire server, on a thread of this process.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread;

use anyhow::{Context, Result, anyhow};

use crate::options::Options;
use crate::pinning::{self, CpuList};
use crate::report::Report;
use crate::run;
use crate::target::Target;
use crate::wire::WireServer;

/// Runs the load against a wire server on a CPU of its own, if there is one.
pub fn run(options: &Options) -> Result<Report> {
    let mut options = options.clone();
    let mut server_cpu = None;
    if options.pin.is_none()
        && let Some((cpus, apart)) = CpuList::beside_one(options.threads as usize)
    {
        (options.pin, server_cpu) = (Some(cpus), Some(apart));
    }
    // Each connection has a file descriptor on both sides of this process.
    pinning::allow_connections(options.connections * 2)?;
    let server = WireServer::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), 0)?;
    let target: Target = format!("ws://{}", server.address()?).parse()?;
    let connections = options.connections as usize;
    let server = thread::Builder::new().name("wire".to_owned()).spawn(move || {
        if let Some(cpu) = server_cpu {
            pinning::pin_thread(cpu)?;
        }
        server.run(Some(connections))
    })?;
    let report = run::run(&options, &target)?;
    server.join().map_err(|_| anyhow!("the wire server panicked"))?.context("the wire server failed")?;
    Ok(report)
}
