//! An entry of a collection: a key and its value.

use crate::table::Named;

/// A key and its value.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) key: Box<str>,
    pub(crate) value: Box<str>,
}

impl Named for Entry {
    fn name(&self) -> &str {
        &self.key
    }

    fn value(&self) -> &str {
        &self.value
    }
}
