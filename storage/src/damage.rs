//! Damage to a data directory: where it is, and what it is.

use crate::limits::DAMAGE_KEPT;

/// A part of a data directory that is not as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// The collection, if that is known; there may be several.
    pub collection: Option<String>,
    /// The document.
    pub document: Option<String>,
    /// The time of the first record.
    pub from: Option<i64>,
    /// The time of the last record.
    pub to: Option<i64>,
    /// What is wrong, in words.
    pub what: String,
}

impl Damage {
    pub(crate) fn new(what: impl Into<String>) -> Damage {
        Damage { what: what.into(), ..Damage::default() }
    }
}

/// The findings of a scan.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The first parts that are damaged.
    pub(crate) damage: Vec<Damage>,
    /// How many others there are.
    pub(crate) more: usize,
    /// The number behind all changes that the log has ever had, as far as that can be told.
    pub(crate) next_number: u64,
}

impl Found {
    pub(crate) fn count(&self) -> usize {
        self.damage.len() + self.more
    }

    pub(crate) fn add(&mut self, damage: Damage) {
        if self.damage.len() < DAMAGE_KEPT { self.damage.push(damage) } else { self.more += 1 }
    }
}
