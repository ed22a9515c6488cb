//! Where an import finds its collections. What lies in the directory may have been put there by anybody: no link is
//! followed, and no name leads out of it.

use super::archive::{DOCUMENT_EXTENSION, KEY_VALUE_FILE};
use super::legacy;
use super::paths::{collection_dir, collection_name, nested_dir};
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};

/// A collection and the directory that holds it.
#[derive(Debug, PartialEq)]
pub struct Source {
    pub collection: String,
    pub dir: PathBuf,
}

/// What a file or directory below the import's is.
pub struct Item {
    pub path: PathBuf,
    pub name: String,
    pub is_dir: bool,
    pub bytes: u64,
}

/// What is in a directory, in order. Links are refused: they may lead anywhere.
pub fn list(dir: &Path) -> Result<Vec<Item>> {
    let unreadable = || format!("can't read the directory {}", dir.display());
    let mut items = Vec::new();
    for entry in fs::read_dir(dir).with_context(unreadable)? {
        let entry = entry.with_context(unreadable)?;
        let path = entry.path();
        let data = entry.metadata().with_context(|| format!("can't look at {}", path.display()))?;
        ensure!(!data.is_symlink(), "{} is a symbolic link: imports do not follow them", path.display());
        let Ok(name) = entry.file_name().into_string() else {
            bail!("the name of {} is not valid UTF-8", path.display());
        };
        if data.is_dir() || data.is_file() {
            items.push(Item { path, name, is_dir: data.is_dir(), bytes: data.len() });
        }
    }
    items.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(items)
}

/// All collections below a directory, also in nested ones.
pub fn find_collections(in_dir: &Path, legacy: bool) -> Result<Vec<Source>> {
    let mut found = Vec::new();
    let mut dirs: Vec<PathBuf> = subdirectories(list(in_dir)?);
    while let Some(dir) = dirs.pop() {
        let items = list(&dir)?;
        let holds_collection = if legacy {
            legacy::is_collection(&items)?
        } else {
            items.iter().any(|item| {
                !item.is_dir && (item.name == KEY_VALUE_FILE || item.name.ends_with(DOCUMENT_EXTENSION))
            })
        };
        if holds_collection {
            let below = dir.strip_prefix(in_dir).unwrap_or(&dir);
            let Some(collection) = collection_name(below) else {
                bail!("the name of {} is not valid UTF-8", dir.display());
            };
            found.push(Source { collection, dir: dir.clone() });
        }
        dirs.extend(subdirectories(items));
    }
    found.sort_unstable_by(|one, other| (&one.collection, &one.dir).cmp(&(&other.collection, &other.dir)));
    Ok(found)
}

fn subdirectories(items: Vec<Item>) -> Vec<PathBuf> {
    items.into_iter().filter(|item| item.is_dir).map(|item| item.path).collect()
}

/// One collection, wherever exports may have put it.
pub fn find_collection(in_dir: &Path, collection: &str) -> Result<Source> {
    let own = collection_dir(collection)?;
    let nested = nested_dir(collection);
    let candidates = [Some(PathBuf::from(&own)), nested.clone()];
    for candidate in candidates.into_iter().flatten() {
        let mut dir = in_dir.to_owned();
        let mut there = true;
        for part in &candidate {
            dir.push(part);
            let data = fs::symlink_metadata(&dir);
            let is_link = data.as_ref().is_ok_and(|data| data.is_symlink());
            ensure!(!is_link, "{} is a symbolic link: imports do not follow them", dir.display());
            there &= data.is_ok_and(|data| data.is_dir());
        }
        if there {
            return Ok(Source { collection: collection.to_owned(), dir });
        }
    }
    let refused = if nested.is_none() { " (a name that leads elsewhere is not followed)" } else { "" };
    bail!("collection path {} not found{refused}", in_dir.join(own).display())
}
