//! Files of other programs that a command looks at: TOML is read in this package alone.

use serde_json::Value;

/// A TOML document as plain data; `None` where it is not TOML.
#[must_use]
pub fn foreign_toml(text: &str) -> Option<Value> {
    toml::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_and_what_is_none_is_not() {
        let read = foreign_toml("[a.\"b.c\"]\nd = \"e\"\n").unwrap();
        assert_eq!(read.pointer("/a/b.c/d"), Some(&Value::from("e")));
        assert_eq!(foreign_toml("[a\n"), None);
        assert_eq!(foreign_toml("a = 1\na = 2\n"), None);
    }
}
