//! Whether a pattern is about the whole of a text. `matches` finds a pattern anywhere in the text: an attacker who
//! chooses the rest of an identity chooses what stands around it.

/// Whether the pattern begins with `^` or `\A`, ends with `$`, `\z`, or what takes all the rest, and has no alternative
/// beside it.
pub(super) fn is_whole(pattern: &str) -> bool {
    let begins = pattern.starts_with('^') || pattern.starts_with("\\A");
    let ends = ["$", "\\z", ".*", ".+"].iter().any(|end| {
        let before = pattern.strip_suffix(end);
        // `\$` and `\\z` are no anchors.
        before.is_some_and(|before| before.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 0)
    });
    begins && ends && !has_alternative(pattern)
}

/// A `|` outside of every group and class.
fn has_alternative(pattern: &str) -> bool {
    let (mut groups, mut class, mut escaped) = (0_usize, false, false);
    for c in pattern.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ']' => class = false,
            _ if class => {}
            '[' => class = true,
            '(' => groups += 1,
            ')' => groups = groups.saturating_sub(1),
            '|' if groups == 0 => return true,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_whole_where_both_its_ends_are_fixed_or_take_all_the_rest() {
        for pattern in [
            "^https://github\\.com/myorg/.+$",
            "\\Ahttps://github\\.com/myorg/app\\z",
            "^https://github\\.com/myorg/.*",
            "^(a|b)$",
            "^[|]$",
            "^a\\|b$",
            "^a\\\\$",
            "^$",
        ] {
            assert!(is_whole(pattern), "{pattern}");
        }
        for pattern in [
            "",
            "myorg",
            "^https://github\\.com/myorg/app",
            "https://github\\.com/myorg/.+$",
            ".*myorg$",
            "^a|b$",
            "^(a)|(b)$",
            "^a\\$",
            "^a\\\\\\$",
        ] {
            assert!(!is_whole(pattern), "{pattern}");
        }
    }
}
