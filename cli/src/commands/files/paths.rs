//! Names of documents and collections as names of files, and back; the layout that the Go CLI has.
//!
//! A document's file is its name percent-encoded as a segment of a URL's path. A collection's directory is its name as it
//! is, `a/b` nested. Names that no path can hold, or that the export's own files have, get a directory that carries their
//! true name in a file. Invariant: no name leads out of the export's directory, and no two have the same place.

use super::archive::{
    API_KEYS_FILE, DOCUMENT_EXTENSION, KEY_VALUE_FILE, MANIFEST_FILE, NAME_FILE, PARTIAL_EXTENSION,
};
use crate::commands::limits::{COLLECTION_PATH_BYTES_MAX, FILE_NAME_BYTES_MAX};
use sha1::{Digest, Sha1};
use std::fmt::Write;

/// Bytes kept of a name that is too long or can't be a path, in front of its digest.
const DOCUMENT_START_BYTES: usize = 190;
const COLLECTION_START_BYTES: usize = 64;
const DIGEST_LETTERS: usize = 40;

/// The name of a document's file. One that would be too long is cut, and told from others by a digest; the lines of
/// the file hold the whole name.
pub fn document_file(document: &str) -> String {
    let mut file = encode(document);
    if file.is_empty() {
        file.push('_');
    }
    if file.len() + DOCUMENT_EXTENSION.len() > FILE_NAME_BYTES_MAX {
        // Whole characters, so that the name can be decoded.
        let starts = document.char_indices().map(|(at, _)| encode(&document[..at]));
        let start = starts.take_while(|start| start.len() <= DOCUMENT_START_BYTES).last();
        file = format!("{}~{}", start.unwrap_or_default(), digest(document));
    }
    file + DOCUMENT_EXTENSION
}

fn encode(document: &str) -> String {
    let mut encoded = String::with_capacity(document.len());
    for byte in document.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => encoded.push(char::from(byte)),
            b'-' | b'_' | b'.' | b'~' | b'$' | b'&' | b'+' | b':' | b'=' | b'@' => {
                encoded.push(char::from(byte))
            }
            // Writing to a string can't fail.
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

/// The name of the document in a file, if it is a document's.
pub fn document_name(file: &str) -> Option<String> {
    let encoded = file.strip_suffix(DOCUMENT_EXTENSION).filter(|encoded| !encoded.is_empty())?;
    decode(encoded)
}

/// The name of a file while it is written: its own with an ending, as far as there is room for that.
pub fn partial_file(file: &str) -> String {
    if file.len() + PARTIAL_EXTENSION.len() <= FILE_NAME_BYTES_MAX {
        format!("{file}{PARTIAL_EXTENSION}")
    } else {
        format!("~{}{PARTIAL_EXTENSION}", digest(file))
    }
}

/// The directory of a collection below an export's.
#[derive(Debug, PartialEq)]
pub struct CollectionDir {
    /// Its path.
    pub path: String,
    /// The path is not the name, which must be written to a file in it.
    pub carries_name: bool,
}

impl CollectionDir {
    /// Finds the place of a collection.
    pub fn of(collection: &str) -> CollectionDir {
        let mut parts = collection.split('/').enumerate();
        if collection.len() <= COLLECTION_PATH_BYTES_MAX && parts.all(|(at, part)| is_free(part, at == 0)) {
            return CollectionDir { path: collection.to_owned(), carries_name: false };
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let letters = collection.bytes().take(COLLECTION_START_BYTES);
        let start: String = letters.map(|byte| if plain(byte) { char::from(byte) } else { '_' }).collect();
        CollectionDir { path: format!("~{start}~{}", digest(collection)), carries_name: true }
    }
}

/// Whether a path of these parts stays below the directory that it starts in.
pub fn is_inside(collection: &str) -> bool {
    collection.split('/').all(is_name)
}

/// Whether a file system takes this for the name of one file.
fn is_name(part: &str) -> bool {
    !matches!(part, "" | "." | "..") && part.len() <= FILE_NAME_BYTES_MAX && !part.contains('\0')
}

/// Whether a part of a collection's name can be a directory's, without taking the place of one of the export's files.
fn is_free(part: &str, is_first: bool) -> bool {
    let is_own = [API_KEYS_FILE, MANIFEST_FILE, KEY_VALUE_FILE, NAME_FILE].contains(&part)
        || part.ends_with(PARTIAL_EXTENSION)
        // The document of the collection around it may have that file.
        || (!is_first && part.ends_with(DOCUMENT_EXTENSION))
        || (is_first && is_carrying(part));
    is_name(part) && !is_own
}

/// Whether a directory is named like those that carry a name.
fn is_carrying(part: &str) -> bool {
    let end = part.strip_prefix('~').and_then(|rest| rest.rsplit_once('~'));
    end.is_some_and(|(_, digest)| {
        digest.len() == DIGEST_LETTERS && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

fn digest(text: &str) -> String {
    let bytes = Sha1::digest(text.as_bytes());
    bytes.iter().fold(String::with_capacity(DIGEST_LETTERS), |mut shown, byte| {
        let _ = write!(shown, "{byte:02x}");
        shown
    })
}

fn decode(encoded: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        if first != b'%' {
            bytes.push(first);
            rest = behind;
        } else if is_escape(rest) {
            let digits = std::str::from_utf8(&rest[1..3]).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &rest[3..];
        } else {
            return None;
        }
    }
    String::from_utf8(bytes).ok()
}

fn is_escape(text: &[u8]) -> bool {
    text.len() >= 3 && text[0] == b'%' && text[1].is_ascii_hexdigit() && text[2].is_ascii_hexdigit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn document_files_are_what_other_exports_write() {
        for (document, file) in [
            ("x/y z", "x%2Fy%20z.jsonl"),
            ("..", "...jsonl"),
            ("ünï \"q\" 100%+;=", "%C3%BCn%C3%AF%20%22q%22%20100%25+%3B=.jsonl"),
            ("a,b?c:d@e&f$g~", "a%2Cb%3Fc:d@e&f$g~.jsonl"),
            ("", "_.jsonl"),
        ] {
            assert_eq!(document_file(document), file);
            if !document.is_empty() {
                assert_eq!(document_name(file).as_deref(), Some(document));
            }
        }
        for file in ["x.json", ".jsonl", "50%.jsonl", "%GG.jsonl", "%FF.jsonl", "a.jsonl.partial"] {
            assert_eq!(document_name(file), None, "{file}");
        }
        // The longest name that is written as it is.
        let longest = "x".repeat(249);
        assert_eq!(document_file(&longest), format!("{longest}.jsonl"));
        assert!(partial_file(&document_file(&longest)).len() <= FILE_NAME_BYTES_MAX);
    }

    #[test]
    fn long_documents_have_files_of_their_own() {
        let one = document_file(&format!("{}1", "ü".repeat(200)));
        let other = document_file(&format!("{}2", "ü".repeat(200)));
        assert!(one != other && one.len() <= FILE_NAME_BYTES_MAX);
        // Wherever the cut falls, the name can be decoded.
        for start in ["", "x", "xx", "xxx"] {
            let file = document_file(&format!("{start}{}", "€".repeat(100)));
            assert!(document_name(&file).is_some_and(|name| name.starts_with(start)), "{file}");
        }
        // These two have the same CRC-32 and the same length.
        let [one, other] = ["plumless", "buckeroo"].map(|end| document_file(&("x".repeat(300) + end)));
        assert_ne!(one, other);
    }

    #[test]
    fn collections_lie_where_their_names_say() {
        for collection in ["sensors", "ünï \"q\"", "a/b", "...", "a%2Fb", "50%", "a/%2E%2E", "x.jsonl", "~"]
        {
            let dir = CollectionDir { path: collection.into(), carries_name: false };
            assert_eq!(CollectionDir::of(collection), dir);
        }
        let longest = ["x".repeat(255), "y".repeat(255)].join("/");
        assert!(!CollectionDir::of(&longest).carries_name);
    }

    #[test]
    fn names_that_can_not_be_paths_have_directories_that_carry_them() {
        let long = "x".repeat(256);
        let deep = "a/".repeat(COLLECTION_PATH_BYTES_MAX) + "a";
        let carrying = CollectionDir::of("..").path;
        let names = [
            "",
            ".",
            "..",
            "/",
            "/etc",
            "a//b",
            "a/",
            "a/../b",
            "../x",
            "a\0b",
            &long,
            &deep,
            "apikeys.json",
            "key_value.json",
            "a/key_value.json",
            "manifest.jsonl",
            "manifest.jsonl.partial",
            "a/d.jsonl",
            "collection_name.json",
            &carrying,
        ];
        let mut paths = std::collections::BTreeSet::new();
        for collection in names {
            let CollectionDir { path, carries_name } = CollectionDir::of(collection);
            assert!(carries_name && is_inside(&path) && !path.contains('/'), "{collection:?}: {path}");
            assert!(paths.insert(path), "{collection:?}");
        }
        assert!(is_inside("a/b") && !is_inside("a/../b") && !is_inside("/etc"));
    }
}
