//! "Did you mean": the name that is nearest to a misspelt one.

/// How alike two words must be for one to be taken for the other misspelt.
const ENOUGH: f64 = 0.75;

/// The candidate that was probably meant.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let liken = |candidate: &'a str| (similarity(&plain(word), &plain(candidate)), candidate);
    let best = candidates.into_iter().map(liken).max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(likeness, _)| *likeness > ENOUGH).map(|(_, candidate)| candidate)
}

/// Hyphens and case are what people get wrong most.
fn plain(word: &str) -> String {
    word.to_ascii_lowercase().replace('-', "_")
}

/// Jaro's similarity of two words, from 0 to 1.
fn similarity(a: &str, b: &str) -> f64 {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let window = (a.len().max(b.len()) / 2).saturating_sub(1);
    let mut taken = vec![false; b.len()];
    let mut matched = Vec::new();
    for (i, c) in a.iter().enumerate() {
        let from = i.saturating_sub(window);
        let near = b.iter().zip(taken.iter_mut()).skip(from).take(i + window + 1 - from);
        if let Some((_, taken)) = near.into_iter().find(|(d, taken)| c == *d && !**taken) {
            *taken = true;
            matched.push(*c);
        }
    }
    let other: Vec<char> = b.iter().zip(&taken).filter(|(_, taken)| **taken).map(|(c, _)| *c).collect();
    if matched.is_empty() {
        return if a == b { 1.0 } else { 0.0 };
    }
    let count = |n: usize| u32::try_from(n).map(f64::from).unwrap_or(f64::MAX);
    let m = count(matched.len());
    let swapped = count(matched.iter().zip(&other).filter(|(a, b)| a != b).count()) / 2.0;
    (m / count(a.len()) + m / count(b.len()) + (m - swapped) / m) / 3.0
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

    #[test]
    fn similarity_is_that_of_jaro() {
        for (a, b, expected) in [
            ("martha", "marhta", 0.944),
            ("dixon", "dicksonx", 0.767),
            ("a", "a", 1.0),
            ("", "", 1.0),
            ("a", "b", 0.0),
        ] {
            assert!((similarity(a, b) - expected).abs() < 0.001, "{a} {b} {}", similarity(a, b));
        }
    }
}
