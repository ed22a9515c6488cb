//! Commands for files: export and import, backup and restore.
//!
//! From below: the layout (`archive`, `paths`, `checksum`), files that are written and found (`lines`, `manifest`,
//! `sources`), what is read (`pages`, `stopped`, `contents`) and on its way (`pipeline`, `progress`), and the commands.

mod archive;
pub mod backup;
pub mod check;
mod checksum;
mod contents;
pub mod dump;
pub mod export;
pub mod import;
mod importer;
mod interrupt;
mod legacy;
mod lines;
mod manifest;
mod pages;
mod paths;
mod pipeline;
mod previous;
mod progress;
mod sources;
mod stopped;
