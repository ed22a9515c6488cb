//! Requests about API keys. They hold secrets, so they have no `Debug`.

/// The action of a `keys` message.
#[derive(PartialEq, Eq)]
pub enum KeyAction {
    /// Adds a key, or changes its scope.
    Add {
        /// The key.
        key: String,
        /// The scope as the client wrote it.
        scope: String,
    },
    /// Removes a key.
    Remove {
        /// The key.
        key: String,
    },
    /// Lists all keys.
    List,
}
