//! The templates that a chunk has in its own bytes: what a shared table would spare it.

use super::layout::each_template;
use super::template::WHOLE;
use super::value::Sealed;

impl Sealed {
    /// The templates that the chunk does not take from a table, as `TemplateTable::new` wants them.
    pub fn own_templates(&self) -> Vec<&[u8]> {
        let mut own = Vec::new();
        let read = each_template(self.bytes(), self.table().map(AsRef::as_ref), |template, shared| {
            // A template that is one slot is shorter than any reference to it.
            if !shared && template != WHOLE {
                own.push(template);
            }
            Ok(())
        });
        debug_assert!(read.is_ok(), "a chunk is checked before it is read");
        own
    }
}
