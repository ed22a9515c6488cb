//! Deleted data that is not freed yet.
//!
//! Deleting a collection takes it out of sight at once, but giving its memory back can take seconds; so it waits here and
//! is freed in bounded steps. What a snapshot still holds is freed with the snapshot.

use std::rc::Rc;

use crate::chunk::{Chunk, Chunks};
use crate::document::Document;
use crate::entry::Entry;
use crate::limits::{GARBAGE_INLINE_CHUNKS, GARBAGE_STEP_ITEMS};
use crate::table::Pages;

/// Data that waits to be freed, from large to small; a step takes from the smallest kind that has any.
#[derive(Default)]
pub(crate) struct Garbage {
    document_pages: Vec<Pages<Document>>,
    entry_pages: Vec<Pages<Entry>>,
    documents: Vec<Rc<Document>>,
    chunk_lists: Vec<Vec<Chunk>>,
    chunk_pages: Vec<Chunks>,
}

impl Garbage {
    pub(crate) fn add_documents(&mut self, pages: Pages<Document>) {
        self.document_pages.push(pages);
    }

    pub(crate) fn add_entries(&mut self, pages: Pages<Entry>) {
        self.entry_pages.push(pages);
    }

    pub(crate) fn add_document(&mut self, document: Rc<Document>) {
        if !document.chunks().are_few(GARBAGE_INLINE_CHUNKS) {
            self.documents.push(document);
        }
    }

    /// Runs a deletion that gives out chunks, and keeps them if they are many.
    pub(crate) fn collect_chunks(&mut self, delete: impl FnOnce(&mut Vec<Chunk>) -> usize) -> usize {
        let mut freed = Vec::new();
        let deleted = delete(&mut freed);
        if freed.len() > GARBAGE_INLINE_CHUNKS {
            self.chunk_lists.push(freed);
        }
        deleted
    }

    pub(crate) fn is_empty(&self) -> bool {
        let Self { document_pages, entry_pages, documents, chunk_lists, chunk_pages } = self;
        let is_empty = document_pages.is_empty() && entry_pages.is_empty() && documents.is_empty();
        is_empty && chunk_lists.is_empty() && chunk_pages.is_empty()
    }

    /// Frees a bounded amount; returns whether more remains.
    pub(crate) fn step(&mut self) -> bool {
        let mut budget = GARBAGE_STEP_ITEMS;
        while budget > 0 && !self.is_empty() {
            budget = budget.saturating_sub(self.free_some());
        }
        !self.is_empty()
    }

    /// Frees one thing of the smallest kind, or takes one apart; returns what that cost.
    fn free_some(&mut self) -> usize {
        if let Some(chunks) = self.chunk_lists.last_mut() {
            let kept = chunks.len().saturating_sub(GARBAGE_STEP_ITEMS / 4);
            let cost = chunks.len() - kept;
            chunks.truncate(kept);
            if chunks.is_empty() {
                self.chunk_lists.pop();
            }
            return cost;
        }
        if let Some(chunks) = self.chunk_pages.last_mut() {
            let freed = chunks.free_page();
            if freed == 0 {
                self.chunk_pages.pop();
            }
            return freed.max(1);
        }
        if let Some(document) = self.documents.pop() {
            if let Some(document) = Rc::into_inner(document) {
                self.chunk_pages.push(document.into_chunks());
            }
        } else if let Some(pages) = self.document_pages.last_mut() {
            if !pages.pop_page(|document| self.documents.push(document)) {
                self.document_pages.pop();
            }
        } else if let Some(pages) = self.entry_pages.last_mut() {
            if !pages.pop_page(drop) {
                self.entry_pages.pop();
            }
            return GARBAGE_STEP_ITEMS / 4;
        }
        1
    }
}
