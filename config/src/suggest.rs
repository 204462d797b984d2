//! "Did you mean": the name that is nearest to a misspelt one, by Jaro's similarity.

/// How alike two words must be for one to count as the other misspelt.
const ENOUGH: f64 = 0.75;

/// The candidate that was probably meant.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let liken = |candidate: &'a str| (strsim::jaro(&plain(word), &plain(candidate)), candidate);
    let best = candidates.into_iter().map(liken).max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(likeness, _)| *likeness > ENOUGH).map(|(_, candidate)| candidate)
}

/// Hyphens and case are the most frequent mistakes.
fn plain(word: &str) -> String {
    word.to_ascii_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_finds_the_near_one_and_a_strange_one_none() {
        let keys = ["signed_by", "attestation", "annotations", "max_age", "require", "scope"];
        for (word, meant) in [
            ("signed-by", Some("signed_by")),
            ("requre", Some("require")),
            ("Scope", Some("scope")),
            ("anotations", Some("annotations")),
            ("maxage", Some("max_age")),
            ("zzz", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, keys), meant, "{word}");
        }
    }
}
