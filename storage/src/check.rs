//! Looking through a whole file for damage.

use crate::error::Error;
use crate::file::ShardFile;
use crate::load::tell;
use crate::log::LogRow;
use crate::read::{Damage, Reader, read};
use crate::rows::ChunkRow;
use fluxion_engine::sealed::Sealed;

/// What is damaged in a file.
#[derive(Default)]
struct Found(Vec<Damage>);

/// Refuses a file that is damaged anywhere.
pub(crate) fn check(file: &ShardFile) -> Result<(), Error> {
    file.check()?;
    let mut found = Found::default();
    read(file, &mut found)?;
    if found.0.is_empty() { Ok(()) } else { Err(file.damaged(&tell(&found.0))) }
}

impl Reader for Found {
    fn chunk(&mut self, _: &str, _: &str, _: &ChunkRow, _: Sealed) -> Result<(), Error> {
        Ok(())
    }

    fn entry(&mut self, _: &str, _: &str, _: &str) -> Result<(), Error> {
        Ok(())
    }

    fn log(&mut self, _: LogRow) -> Result<(), Error> {
        Ok(())
    }

    fn damage(&mut self, damage: Damage) -> Result<(), Error> {
        self.0.push(damage);
        Ok(())
    }
}
