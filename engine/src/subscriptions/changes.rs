//! The pushes of all changes, and how many wait for who doesn't take them.

use super::group::Group;
use super::history::History;
use super::render::Body;
use crate::feed::ChangeRef;

/// Writes the changes from a number on that the group wants; gives the number to go on from, if those were not all.
pub(super) fn from(group: &mut Group, history: &History, number: u64, body: &mut Body) -> Option<u64> {
    let mut matched = Matched::default();
    for (number, change) in history.from(number) {
        if body.is_full() {
            return Some(number);
        }
        body.look();
        if matched.wants(group, &change, body) {
            body.change(&change);
        }
    }
    None
}

/// The document that was matched last: changes of one often come together.
#[derive(Default)]
pub(super) struct Matched<'a>(Option<(&'a str, bool)>);

impl<'a> Matched<'a> {
    /// Whether the group wants a change. Of what is deleted there is no text that a filter could look at.
    pub(super) fn wants(&mut self, group: &mut Group, change: &ChangeRef<'a>, body: &mut Body) -> bool {
        match *change {
            ChangeRef::Put { document, data, .. } => {
                self.matches(group, document) && body.passes(&group.filter, data)
            }
            ChangeRef::DeleteRecord { document, .. }
            | ChangeRef::DeleteRange { document, .. }
            | ChangeRef::DeleteDocument { document, .. } => self.matches(group, document),
            ChangeRef::DeleteCollection { .. } => true,
            ChangeRef::SetValue { .. }
            | ChangeRef::RemoveValue { .. }
            | ChangeRef::SetApiKey { .. }
            | ChangeRef::RemoveApiKey { .. } => false,
        }
    }

    fn matches(&mut self, group: &mut Group, document: &'a str) -> bool {
        match self.0 {
            Some((known, matches)) if known == document => matches,
            _ => {
                let matches = group.names.matches(document);
                self.0 = Some((document, matches));
                matches
            }
        }
    }
}
