//! Names of documents and collections as names of files, and back.
//!
//! A document's file is its name percent-encoded as a segment of a URL's path. A collection's directory is its name as
//! it is, but for what a file system takes for something else: `/`, NUL, `.`, `..`, the export's own files, and a `%`
//! that could be taken for an escape. No name leads out of the directory.

use super::archive::{API_KEYS_FILE, DOCUMENT_EXTENSION, PARTIAL_EXTENSION};
use super::checksum::Checksum;
use super::manifest::MANIFEST_FILE;
use anyhow::{Result, ensure};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// What file systems allow.
const FILE_NAME_BYTES_MAX: usize = 255;
/// What is kept of a document's name that is too long, in front of its checksum.
const LONG_NAME_BYTES: usize = 200;

/// The name of a document's file. One that would be too long is cut, and told from others by a checksum; the lines of
/// the file hold the whole name.
pub fn document_file(document: &str) -> String {
    let mut file = String::with_capacity(document.len() + DOCUMENT_EXTENSION.len());
    for byte in document.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => file.push(char::from(byte)),
            b'-' | b'_' | b'.' | b'~' | b'$' | b'&' | b'+' | b':' | b'=' | b'@' => {
                file.push(char::from(byte))
            }
            _ => push_escape(&mut file, byte),
        }
    }
    if file.is_empty() {
        file.push('_');
    }
    if file.len() + DOCUMENT_EXTENSION.len() + PARTIAL_EXTENSION.len() > FILE_NAME_BYTES_MAX {
        // Not in the middle of an escape.
        let cut =
            (LONG_NAME_BYTES - 2..=LONG_NAME_BYTES).rev().find(|cut| !file[cut - 2..*cut].contains('%'));
        file.truncate(cut.unwrap_or(LONG_NAME_BYTES));
        let _ = write!(file, "~{}", Checksum::of(document.as_bytes()).wide());
    }
    file + DOCUMENT_EXTENSION
}

/// The name of the document in a file, if it is a document's.
pub fn document_name(file: &str) -> Option<String> {
    let encoded = file.strip_suffix(DOCUMENT_EXTENSION).filter(|encoded| !encoded.is_empty())?;
    decode(encoded)
}

/// The name of a collection's directory.
pub fn collection_dir(collection: &str) -> Result<String> {
    let mut dir = String::with_capacity(collection.len());
    let reserved = [".", "..", API_KEYS_FILE, MANIFEST_FILE].contains(&collection);
    for (at, letter) in collection.char_indices() {
        match letter {
            '/' | '\0' => push_escape(&mut dir, letter as u8),
            '.' if reserved => push_escape(&mut dir, b'.'),
            '%' if is_escape(&collection.as_bytes()[at..]) => push_escape(&mut dir, b'%'),
            _ => dir.push(letter),
        }
    }
    ensure!(!dir.is_empty(), "a collection without a name can't be written to files");
    ensure!(
        dir.len() <= FILE_NAME_BYTES_MAX,
        "the name of collection {collection:?} is {} bytes long as a directory, and only {FILE_NAME_BYTES_MAX} are \
         possible: export the others with --col",
        dir.len()
    );
    Ok(dir)
}

/// The name of the collection in a directory, which may be nested: other exports take `/` for a separator.
pub fn collection_name(dir: &Path) -> Option<String> {
    let parts: Option<Vec<String>> = dir.iter().map(|part| part.to_str().map(decode_dir)).collect();
    parts.map(|parts| parts.join("/"))
}

/// Where a collection may lie in nested directories; nothing if that would lead out of them.
pub fn nested_dir(collection: &str) -> Option<PathBuf> {
    let parts = collection.split('/');
    let safe = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
    parts.clone().all(safe).then(|| parts.collect())
}

/// The name behind a directory's. Only what `collection_dir` would have written is decoded, so that names that others
/// wrote as they are stay so.
fn decode_dir(dir: &str) -> String {
    match decode(dir) {
        Some(name) if collection_dir(&name).is_ok_and(|again| again == dir) => name,
        _ => dir.to_owned(),
    }
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

fn push_escape(text: &mut String, byte: u8) {
    // Writing to a string can't fail.
    let _ = write!(text, "%{byte:02X}");
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
    }

    #[test]
    fn long_documents_have_files_of_their_own() {
        let one = document_file(&format!("{}1", "ü".repeat(200)));
        let other = document_file(&format!("{}2", "ü".repeat(200)));
        assert!(one != other && one.len() <= FILE_NAME_BYTES_MAX - PARTIAL_EXTENSION.len());
        assert!(document_name(&one).is_some());
    }

    #[test]
    fn collection_directories_lead_nowhere_else() {
        for (collection, dir) in [
            ("sensors", "sensors"),
            ("ünï \"q\"", "ünï \"q\""),
            ("a/b", "a%2Fb"),
            ("..", "%2E%2E"),
            (".", "%2E"),
            ("../x", "..%2Fx"),
            ("...", "..."),
            ("a%2Fb", "a%252Fb"),
            ("50%", "50%"),
            ("apikeys.json", "apikeys%2Ejson"),
        ] {
            assert_eq!(collection_dir(collection).unwrap(), dir);
            assert_eq!(collection_name(Path::new(dir)).as_deref(), Some(collection));
        }
        assert!(collection_dir("").is_err());
        assert!(collection_dir(&"x".repeat(256)).unwrap_err().to_string().contains("256 bytes"));
    }

    #[test]
    fn directories_of_others_are_read_as_they_are() {
        for (dir, collection) in [("a/b", "a/b"), ("50%20x", "50%20x"), ("%zz", "%zz"), ("a/%2E%2E", "a/..")]
        {
            assert_eq!(collection_name(Path::new(dir)).as_deref(), Some(collection));
        }
        assert_eq!(nested_dir("a/b"), Some(PathBuf::from("a/b")));
        for collection in ["../x", "a/../b", "/etc", "a//b", ".", "", "a/"] {
            assert_eq!(nested_dir(collection), None, "{collection}");
        }
    }
}
