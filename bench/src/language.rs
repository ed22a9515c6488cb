//! The languages that servers are spoken to in: what a request looks like in each.

use std::sync::Arc;

use anyhow::Result;

use crate::generator::Generator;
use crate::redis::Commands;
use crate::requests::{Shape, Templates};
use crate::target::Scheme;
use crate::texts::{Form, Texts};
use crate::workload::{Mix, Workload};

/// Makes requests in a server's language.
#[derive(Debug)]
pub enum Encoder {
    /// Frames of FluxionDB's protocol.
    Frames(Box<Templates>),
    /// Commands for Redis.
    Commands(Commands),
}

impl Encoder {
    /// For data of this shape; the texts are in the form that the language wants.
    pub fn new(scheme: Scheme, shape: &Shape, texts: &Arc<Texts>) -> Self {
        match scheme {
            Scheme::WebSocket => Self::Frames(Box::new(Templates::new(shape, texts))),
            Scheme::Redis => Self::Commands(Commands::new(shape, texts)),
        }
    }

    /// The number of records that a request of this kind inserts.
    #[inline]
    pub fn records(&self, workload: Workload) -> u32 {
        match (workload, self) {
            (Workload::Ins, Self::Frames(templates)) => templates.of(workload).parts(),
            (Workload::Ins, Self::Commands(commands)) => commands.records(),
            _ => 0,
        }
    }

    /// Appends a request with this id; returns how many replies it will have.
    #[inline]
    pub fn append(&self, generator: &mut Generator, workload: Workload, id: u64, out: &mut Vec<u8>) -> u32 {
        match self {
            Self::Frames(templates) => {
                generator.append(workload, templates, id, out);
                1
            }
            Self::Commands(commands) => commands.append(generator, workload, out),
        }
    }
}

/// The form of texts within requests of this language.
pub fn form_of(scheme: Scheme) -> Form {
    match scheme {
        Scheme::WebSocket => Form::EscapedTwice,
        Scheme::Redis => Form::Plain,
    }
}

/// Refuses requests that this language has no words for.
pub fn check(scheme: Scheme, mix: &Mix, shape: &Shape) -> Result<()> {
    match scheme {
        Scheme::WebSocket => Ok(()),
        Scheme::Redis => Commands::check(mix, shape),
    }
}
