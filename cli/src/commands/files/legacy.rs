//! The older layout: DIR/COLLECTION/DOCUMENT/*.json, each file a record or an array of records. A record has its time in
//! `ts`, `timestamp` or `time`, or else its file is named after it; without `data` all of it is the data.

use super::importer::Importer;
use super::pipeline::Batch;
use super::sources::{Item, Source, is_json, list};
use anyhow::{Context, Result, bail};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

type Members = BTreeMap<String, Box<RawValue>>;

/// The bytes that there are to read of a collection.
pub fn bytes(source: &Source) -> Result<u64> {
    let documents = documents(source)?;
    Ok(documents.iter().flat_map(|(_, files)| files).map(|file| file.bytes).sum())
}

/// The documents of a collection with their files.
fn documents(source: &Source) -> Result<Vec<(String, Vec<Item>)>> {
    let mut documents = Vec::new();
    for item in list(&source.dir)?.into_iter().filter(|item| item.is_dir) {
        let files = json_files(&item.path)?;
        if !files.is_empty() {
            documents.push((item.name, files));
        }
    }
    Ok(documents)
}

/// Imports the documents of a collection, and counts documents and records.
pub fn import(importer: &mut Importer<'_>, source: &Source) -> Result<(u64, u64)> {
    let documents = documents(source)?;
    let mut records = 0;
    for (document, files) in &documents {
        let mut batch = Batch::default();
        let mut first = 0;
        for (index, file) in files.iter().enumerate() {
            let parsed = read(&file.path).with_context(|| file.path.display().to_string())?;
            let bytes = file.bytes / parsed.len().max(1) as u64;
            for (ts, data) in &parsed {
                batch.push(*ts, data);
                records += 1;
                importer.count(bytes);
                if batch.is_full() {
                    let origin = origin(&files[first..=index]);
                    batch.send(&mut importer.pipeline, &source.collection, document, origin)?;
                    first = index;
                }
            }
        }
        if !batch.is_empty() {
            let origin = origin(&files[first..]);
            batch.send(&mut importer.pipeline, &source.collection, document, origin)?;
        }
    }
    Ok((documents.len() as u64, records))
}

fn origin(files: &[Item]) -> String {
    match files {
        [one] => one.path.display().to_string(),
        [first, .., last] => format!("{} to {}", first.path.display(), last.path.display()),
        [] => String::new(),
    }
}

/// The files of a document, also in directories below it, in the order of their paths.
fn json_files(dir: &Path) -> Result<Vec<Item>> {
    let (mut files, mut dirs) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(dir) = dirs.pop() {
        for item in list(&dir)? {
            if item.is_dir {
                dirs.push(item.path);
            } else if is_json(&item.name) {
                files.push(item);
            }
        }
    }
    files.sort_unstable_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

/// The records of a file.
fn read(path: &Path) -> Result<Vec<(i64, String)>> {
    let text = fs::read_to_string(path)?;
    let stem = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
    match text.trim_start().as_bytes().first() {
        None => Ok(Vec::new()),
        Some(b'[') => {
            let items: Vec<Members> = serde_json::from_str(&text)?;
            let records = items.iter().enumerate();
            records
                .map(|(index, item)| record(item, stem).with_context(|| format!("record {index}")))
                .collect()
        }
        Some(b'{') => Ok(vec![record(&serde_json::from_str(&text)?, stem)?]),
        Some(_) => bail!("neither a JSON object nor an array"),
    }
}

fn record(item: &Members, stem: Option<i64>) -> Result<(i64, String)> {
    let named = ["ts", "timestamp", "time"].into_iter().find_map(|name| Some((name, item.get(name)?)));
    let ts = match (named, stem) {
        (Some((name, raw)), _) => {
            time(raw.get()).with_context(|| format!("{name} is {}, no time", raw.get()))?
        }
        (None, Some(stem)) => stem,
        (None, None) => {
            bail!("there is no ts, timestamp or time, and the name of the file is no time either")
        }
    };
    let data = match item.get("data") {
        Some(raw) => serde_json::from_str(raw.get()).unwrap_or_else(|_| compact(raw.get())),
        None => compact(&serde_json::to_string(item)?),
    };
    Ok((ts, data))
}

/// A number, or a number as a string; fractions are cut off.
fn time(raw: &str) -> Option<i64> {
    let text = serde_json::from_str::<String>(raw);
    let number = raw.parse().ok().or_else(|| raw.parse::<f64>().ok().map(|number| number as i64));
    number.or_else(|| text.ok()?.parse().ok())
}

/// JSON without the blanks between its parts.
fn compact(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let keep = |letter: &char| {
        let kept = in_string || !letter.is_ascii_whitespace();
        match letter {
            '"' if !escaped => in_string = !in_string,
            _ => {}
        }
        escaped = in_string && *letter == '\\' && !escaped;
        kept
    };
    json.chars().filter(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(name: &str, text: &str) -> Result<Vec<(i64, String)>, String> {
        let thread = format!("{:?}", std::thread::current().id());
        let dir = std::env::temp_dir().join(format!("fluxiondb-legacy-{}-{thread}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join(name);
        fs::write(&path, text).unwrap();
        let records = read(&path).map_err(|error| format!("{error:#}"));
        fs::remove_dir_all(dir).unwrap();
        records
    }

    #[test]
    fn records_are_read_in_all_their_forms() {
        for (name, text, ts, data) in [
            ("x.json", r#"{"ts":5,"data":"text"}"#, 5, "text"),
            ("x.json", r#"[{"timestamp":"6","data":{"a" : [1, "b \" c"]}}]"#, 6, r#"{"a":[1,"b \" c"]}"#),
            ("x.json", r#"{"time":7.9,"data":1.50}"#, 7, "1.50"),
            ("-8.json", r#"{"data":"named"}"#, -8, "named"),
            ("9.json", r#"{ "v" : 1 }"#, 9, r#"{"v":1}"#),
        ] {
            assert_eq!(read_text(name, text), Ok(vec![(ts, data.to_string())]), "{text}");
        }
        assert_eq!(read_text("x.json", " "), Ok(vec![]));
    }

    #[test]
    fn what_can_not_be_read_says_why() {
        for (text, word) in [
            (r#"{"data":"x"}"#, "no ts"),
            (r#"[{"ts":1,"data":""},{"ts":"soon"}]"#, "record 1: ts is \"soon\""),
            ("5", "neither"),
            ("{", "EOF"),
        ] {
            let error = read_text("x.json", text).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
