//! An older export that lies where a new one goes. It would bring deleted data back, so it is refused, or replaced as a
//! whole: what the new one did not write is removed when the new one is complete.

use super::archive::{
    API_KEYS_FILE, DOCUMENT_EXTENSION, KEY_VALUE_FILE, MANIFEST_FILE, NAME_FILE, PARTIAL_EXTENSION,
};
use super::sources::{is_collection, list};
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The files and directories of an older export.
#[derive(Default)]
pub struct Previous {
    files: Vec<PathBuf>,
    /// Those around come before those within.
    dirs: Vec<PathBuf>,
}

impl Previous {
    /// All of an export's directory. It may hold nothing that no export writes: that would be lost with it.
    pub fn of_export(dir: &Path, replace: bool) -> Result<Previous> {
        let mut previous = Previous::default();
        if !dir.exists() {
            return Ok(previous);
        }
        let mut waiting = vec![dir.to_owned()];
        while let Some(current) = waiting.pop() {
            for item in list(&current)? {
                ensure!(replace, refusal(dir));
                if item.is_dir {
                    previous.dirs.push(item.path.clone());
                    waiting.push(item.path);
                } else if is_own(&item.name, current == dir) {
                    previous.files.push(item.path);
                } else {
                    bail!(
                        "{} is no file of an export: --replace removes only what an export wrote, so take another \
                         directory",
                        item.path.display()
                    );
                }
            }
        }
        Ok(previous)
    }

    /// The files of one collection.
    pub fn of_collection(dir: &Path, replace: bool) -> Result<Previous> {
        let mut previous = Previous::default();
        if dir.exists() {
            let items = list(dir)?;
            ensure!(replace || !is_collection(&items), refusal(dir));
            let own = items.into_iter().filter(|item| !item.is_dir && is_own(&item.name, false));
            previous.files.extend(own.map(|item| item.path));
        }
        Ok(previous)
    }

    /// Removes what is not among the files of the new export.
    pub fn remove_all_but(self, written: &BTreeSet<PathBuf>) -> Result<()> {
        for path in self.files.iter().filter(|path| !written.contains(*path)) {
            match fs::remove_file(path) {
                // A `.partial` has its name now.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                other => other.with_context(|| format!("can't remove the older {}", path.display()))?,
            }
        }
        for dir in self.dirs.iter().rev() {
            // One with files of the new export stays.
            let _ = fs::remove_dir(dir);
        }
        Ok(())
    }
}

fn refusal(dir: &Path) -> String {
    format!(
        "{} is not empty: data that was deleted since would come back with it. Name a new directory, or give --replace, \
         which removes the older export when the new one is complete",
        dir.display()
    )
}

fn is_own(name: &str, is_top: bool) -> bool {
    let complete = name.strip_suffix(PARTIAL_EXTENSION).unwrap_or(name);
    match is_top {
        true => [API_KEYS_FILE, MANIFEST_FILE].contains(&complete),
        false => {
            [KEY_VALUE_FILE, NAME_FILE].contains(&complete)
                || complete.ends_with(DOCUMENT_EXTENSION)
                || complete != name
        }
    }
}
