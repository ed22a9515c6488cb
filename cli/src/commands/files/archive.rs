//! The files that an exported directory is made of, and the summaries of exports and imports.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The file of a collection's key-value entries: an object.
pub const KEY_VALUE_FILE: &str = "key_value.json";
/// The file of the API keys: an array.
pub const API_KEYS_FILE: &str = "apikeys.json";
/// The list of a backup's files.
pub const MANIFEST_FILE: &str = "manifest.jsonl";
/// The true name of a collection whose directory can't have it: a JSON string.
pub const NAME_FILE: &str = "collection_name.json";
/// The end of the name of a document's file.
pub const DOCUMENT_EXTENSION: &str = ".jsonl";
/// The end of the name of a file that is not complete.
pub const PARTIAL_EXTENSION: &str = ".partial";

/// A line of a document's file.
#[derive(Serialize, Deserialize)]
pub struct Line<'a> {
    pub ts: i64,
    #[serde(borrow, default)]
    pub doc: Cow<'a, str>,
    #[serde(borrow)]
    pub data: Cow<'a, str>,
}

/// The summary that an export prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportSummary {
    pub output_dir: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub collections: Vec<ExportedCollection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_keys: Option<ExportedKeys>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportedCollection {
    pub collection: String,
    pub documents: u64,
    pub records: u64,
    pub output_dir: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportedKeys {
    pub keys: u64,
    pub output_file: String,
}

/// The summary that an import prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportSummary {
    pub input_dir: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub collections: Vec<ImportedCollection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_keys: Option<ImportedKeys>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportedCollection {
    pub collection: String,
    pub documents: u64,
    pub records: u64,
    pub key_values: u64,
    pub input_dir: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportedKeys {
    pub keys: u64,
    pub input_file: String,
}
