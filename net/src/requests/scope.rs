//! The rights of a connection.

/// A scope; each includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Reads only.
    Read,
    /// Reads and writes.
    Write,
    /// Reads, writes and deletes.
    Delete,
    /// All, and managing keys.
    Master,
}

impl Scope {
    /// Reads a scope as clients write it: case, spaces, commas, `-` and `_` don't matter.
    pub fn parse(text: &str) -> Option<Scope> {
        let plain: String = text
            .chars()
            .filter(|c| !c.is_whitespace() && !matches!(c, ',' | '-' | '_'))
            .map(|c| c.to_ascii_lowercase())
            .take(32)
            .collect();
        match plain.as_str() {
            "readonly" => Some(Scope::Read),
            "readwrite" => Some(Scope::Write),
            "readwritedelete" => Some(Scope::Delete),
            _ => None,
        }
    }

    /// The name on the wire; the master key can do what `read_write_delete` can, and is not deletable.
    pub fn name(self) -> &'static str {
        match self {
            Scope::Read => "readonly",
            Scope::Write => "read_write",
            Scope::Delete | Scope::Master => "read_write_delete",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_generously() {
        assert_eq!(Scope::parse("Read-Write, Delete"), Some(Scope::Delete));
        assert_eq!(Scope::parse("READ_ONLY"), Some(Scope::Read));
        assert_eq!(Scope::parse("admin"), None);
        assert_eq!(Scope::parse(""), None);
    }
}
