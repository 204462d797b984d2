//! Labels that come from the configuration: bounded all the same, so that no caller's mistake makes a series per name.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use pullgate_policy::text;

/// Different names of one label. Those after them are counted as [`OTHER`].
const NAMES_MAX: usize = 512;

/// The label for names over the limit.
const OTHER: &str = "other";

/// The names that one label has had. They outlive a reload, as their series do.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<BTreeSet<String>>);

impl Names {
    /// The name itself, or `other` when there have been too many.
    pub(super) fn bounded(&self, name: &str) -> String {
        let name = text::escape(name);
        let mut names = self.0.lock();
        if names.contains(&name) {
            return name;
        }
        if names.len() < NAMES_MAX {
            names.insert(name.clone());
            return name;
        }
        OTHER.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a526_over_the_limit_new_names_are_one_and_known_ones_stay() {
        let names = Names::default();
        for n in 0..NAMES_MAX {
            assert_eq!(names.bounded(&n.to_string()), n.to_string());
        }
        assert_eq!(names.bounded("one more"), OTHER);
        assert_eq!(names.bounded("0"), "0");
    }
}
