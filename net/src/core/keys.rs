//! The API keys and the scope of each. Every core holds a copy; core 0 decides all changes.
//! A key is found by a hash seeded per process and compared in constant time, so that the time of a refusal
//! says nothing about the keys. Keys are never printed: the types here have no `Debug` that would show one.

use crate::limits::{API_KEY_BYTES_MAX, API_KEYS_MAX};
use crate::requests::scope::Scope;
use hashbrown::HashTable;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// Names a key without holding it; a key that is removed and added again gets another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyId(pub u64);

/// One key.
#[derive(Clone)]
pub struct Key {
    /// The number under which connections remember it.
    pub id: KeyId,
    /// The scope that it has.
    pub scope: Scope,
    /// The secret itself.
    pub secret: Arc<str>,
}

/// A change that core 0 decided, for the other cores.
#[derive(Clone)]
pub enum KeyChange {
    /// A new key, or another scope for a known one.
    Set(Key),
    /// The key is gone, and its connections are to be closed.
    Removed(KeyId),
}

/// One core's copy of all keys.
pub struct KeyTable {
    keys: HashTable<Key>,
    hasher: RandomState,
    next_id: u64,
}

impl KeyTable {
    /// A table that knows the master key alone.
    pub fn new(master: &str) -> KeyTable {
        let mut table = KeyTable { keys: HashTable::new(), hasher: RandomState::new(), next_id: 1 };
        table.apply(&KeyChange::Set(Key { id: KeyId(0), scope: Scope::Master, secret: master.into() }));
        table
    }

    /// Adds a key that was stored earlier; the master key stays what it is.
    pub fn restore(&mut self, secret: &str, scope: Scope) {
        if self.find(secret).is_none() {
            let id = KeyId(self.next_id);
            self.next_id += 1;
            self.apply(&KeyChange::Set(Key { id, scope, secret: secret.into() }));
        }
    }

    /// The key with this secret.
    pub fn find(&self, secret: &str) -> Option<&Key> {
        let hash = self.hasher.hash_one(secret);
        self.keys.find(hash, |key| bool::from(key.secret.as_bytes().ct_eq(secret.as_bytes())))
    }

    /// Works out what adding `secret` with `scope` changes, or why it can't be done.
    pub fn add(&mut self, secret: &str, scope: &str) -> Result<KeyChange, &'static str> {
        if secret.is_empty() {
            return Err("api key cannot be empty");
        }
        if secret.len() > API_KEY_BYTES_MAX {
            return Err("api key is too long: at most 1024 bytes");
        }
        let scope = Scope::parse(scope).ok_or("invalid scope")?;
        let id = match self.find(secret) {
            Some(key) if key.scope == Scope::Master => return Err("the master key cannot be changed"),
            Some(key) => key.id,
            None if self.keys.len() >= API_KEYS_MAX => return Err("too many API keys: remove one first"),
            None => {
                self.next_id += 1;
                KeyId(self.next_id - 1)
            }
        };
        Ok(KeyChange::Set(Key { id, scope, secret: secret.into() }))
    }

    /// Works out what removing `secret` changes, or why it can't be done.
    pub fn remove(&self, secret: &str) -> Result<KeyChange, &'static str> {
        match self.find(secret) {
            _ if secret.is_empty() => Err("api key cannot be empty"),
            None => Err("api key not found"),
            Some(key) if key.scope == Scope::Master => Err("api key cannot be removed"),
            Some(key) => Ok(KeyChange::Removed(key.id)),
        }
    }

    /// Carries out a change that core 0 decided.
    pub fn apply(&mut self, change: &KeyChange) {
        match change {
            KeyChange::Set(key) => {
                let hasher = &self.hasher;
                let hash = hasher.hash_one(&*key.secret);
                match self.keys.find_mut(hash, |k| k.id == key.id) {
                    Some(known) => known.scope = key.scope,
                    None => {
                        self.keys.insert_unique(hash, key.clone(), |k| hasher.hash_one(&*k.secret));
                    }
                }
            }
            KeyChange::Removed(id) => self.keys.retain(|key| key.id != *id),
        }
    }

    /// All keys, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(table: &mut KeyTable, secret: &str, scope: &str) {
        let change = table.add(secret, scope).map_err(str::to_owned).unwrap();
        table.apply(&change);
    }

    #[test]
    fn a_key_added_again_changes_its_scope_and_keeps_its_id() {
        let mut table = KeyTable::new("master");
        change(&mut table, "k", "readonly");
        let id = table.find("k").unwrap().id;
        change(&mut table, "k", "read_write");
        assert_eq!(table.find("k").unwrap().scope, Scope::Write);
        assert_eq!(table.find("k").unwrap().id, id);
        let removed = table.remove("k").map_err(str::to_owned).unwrap();
        table.apply(&removed);
        assert!(table.find("k").is_none());
        change(&mut table, "k", "readonly");
        assert_ne!(table.find("k").unwrap().id, id);
    }

    #[test]
    fn the_master_key_stays() {
        let mut table = KeyTable::new("master");
        assert_eq!(table.remove("master").err(), Some("api key cannot be removed"));
        assert!(table.add("master", "readonly").is_err());
        assert_eq!(table.remove("other").err(), Some("api key not found"));
        assert_eq!(table.add("", "readonly").err(), Some("api key cannot be empty"));
        assert_eq!(table.add("k", "admin").err(), Some("invalid scope"));
        assert!(table.add(&"k".repeat(API_KEY_BYTES_MAX + 1), "readonly").is_err());
    }

    #[test]
    fn the_number_of_keys_is_bounded() {
        let mut table = KeyTable::new("master");
        for i in 1..API_KEYS_MAX {
            change(&mut table, &format!("k{i}"), "readonly");
        }
        assert_eq!(table.add("one more", "readonly").err(), Some("too many API keys: remove one first"));
        assert!(table.add("k1", "read_write").is_ok());
    }
}
