//! Where an import finds its collections. What lies in the directory may have been put there by anybody: no link is
//! followed, and no name leads out of it.

use super::archive::{DOCUMENT_EXTENSION, KEY_VALUE_FILE, NAME_FILE};
use super::paths::{CollectionDir, is_inside};
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};

/// A collection and the directory that holds it.
#[derive(Debug, PartialEq)]
pub struct Source {
    pub collection: String,
    pub dir: PathBuf,
}

/// A file or directory below the import's.
pub struct Item {
    pub path: PathBuf,
    pub name: String,
    pub is_dir: bool,
    pub bytes: u64,
}

/// The content of a directory, in order. Links are refused: they may lead anywhere.
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
        if if legacy { is_older_collection(&items)? } else { is_collection(&items) } {
            let collection = collection_name(in_dir, &dir, &items)?;
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

/// Whether a directory with these items is a collection's.
pub fn is_collection(items: &[Item]) -> bool {
    let own = |name: &str| [KEY_VALUE_FILE, NAME_FILE].contains(&name) || name.ends_with(DOCUMENT_EXTENSION);
    items.iter().any(|item| !item.is_dir && own(&item.name))
}

/// Whether it is one in the older layout.
fn is_older_collection(items: &[Item]) -> Result<bool> {
    for item in items {
        let holds = match item.is_dir {
            true => list(&item.path)?.iter().any(|inner| !inner.is_dir && is_json(&inner.name)),
            false => item.name == KEY_VALUE_FILE,
        };
        if holds {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a file's name ends with `.json`, in any case.
pub fn is_json(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}

/// The name of the collection in a directory: the one that it carries, or its path as it is.
fn collection_name(in_dir: &Path, dir: &Path, items: &[Item]) -> Result<String> {
    if let Some(item) = items.iter().find(|item| item.name == NAME_FILE && !item.is_dir) {
        let named = || format!("can't read the name of a collection from {}", item.path.display());
        let text = fs::read(&item.path).with_context(named)?;
        return serde_json::from_slice(&text).with_context(named);
    }
    let below = dir.strip_prefix(in_dir).unwrap_or(dir);
    match below.to_str() {
        Some(name) => Ok(name.to_owned()),
        None => bail!("the name of {} is not valid UTF-8", dir.display()),
    }
}

/// One collection, wherever exports may have put it.
pub fn find_collection(in_dir: &Path, collection: &str) -> Result<Source> {
    let own = CollectionDir::of(collection);
    // Other exports know no names that are carried.
    let literal = (own.carries_name && is_inside(collection)).then(|| collection.to_owned());
    for candidate in [Some(own.path.clone()), literal].into_iter().flatten() {
        let mut dir = in_dir.to_owned();
        let mut there = true;
        for part in candidate.split('/') {
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
    let refused = if is_inside(collection) { "" } else { " (a name that leads elsewhere is not followed)" };
    bail!("collection path {} not found{refused}", in_dir.join(own.path).display())
}
