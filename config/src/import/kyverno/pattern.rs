//! Patterns of images, compared with `registry/path:tag` or `registry/path@digest`: `*` stands for any characters, also `/`,
//! `?` for one. The image `nginx` is `docker.io/nginx` there, without `library/`.

use crate::import::area::{Area, is_hub};
use crate::import::remark::RemarkCode;

/// What a pattern matches.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::import) enum Matched {
    /// Scopes that match no less.
    Areas { areas: Vec<Area>, remarks: Vec<(RemarkCode, &'static str)> },
    /// No scope says it; `glob` matches no less.
    Unsaid { code: RemarkCode, why: &'static str, glob: String },
}

/// What a pattern of images that are skipped means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Skipped {
    /// Scopes of which every tag and digest is skipped.
    Areas(Vec<Area>),
    /// Some tags, or nothing that a scope says.
    Partly(&'static str),
}

pub(in crate::import) fn read(pattern: &str) -> Matched {
    let unsaid = |code, why, glob: String| Matched::Unsaid { code, why, glob };
    if pattern.contains("{{") || pattern.contains("$(") {
        return unsaid(RemarkCode::Variable, "a variable of the request", "*".to_owned());
    }
    if pattern.contains(['[', '{', '\\']) {
        return unsaid(RemarkCode::Pattern, "classes and choices", "*".to_owned());
    }
    if matches!(pattern, "*" | "**" | "*:*" | "*/*" | "*@*") {
        return Matched::Areas { areas: vec![Area::everything()], remarks: Vec::new() };
    }
    // A pattern is compared as it is: a name without a registry is no name of Docker Hub.
    let glob = pattern.to_owned();
    let Some((registry, rest)) = pattern.split_once('/') else {
        return unsaid(RemarkCode::Pattern, "no registry, or a wildcard in it", glob);
    };
    if registry.contains(['*', '?']) {
        return unsaid(RemarkCode::Pattern, "a wildcard in the registry", glob);
    }
    let (path, tagged) = without_tag(rest);
    let mut remarks = Vec::new();
    if tagged {
        remarks.push((RemarkCode::Tags, "digests and other tags go free there, and are governed here"));
    }
    let hub = is_hub(registry);
    if hub {
        remarks.extend(
            library(path).then_some((RemarkCode::HubLibrary, "`x` and `library/x` are two names there")),
        );
    }
    match around(if hub { "docker.io" } else { registry }, path, tagged) {
        Some((areas, wider)) => {
            remarks.extend(wider.then_some((RemarkCode::PatternWidened, "the smallest scopes around it")));
            Matched::Areas { areas, remarks }
        }
        None => unsaid(RemarkCode::Pattern, "no scope says it", glob),
    }
}

/// The path of a pattern that ends in a tag or a digest, and whether it does.
fn without_tag(rest: &str) -> (&str, bool) {
    let begins = rest.rfind('/').map_or(0, |at| at + 1);
    let last = rest.get(begins..).unwrap_or_default();
    match last.find([':', '@']) {
        Some(at) => (rest.get(..begins + at).unwrap_or(rest), true),
        None => (rest, false),
    }
}

/// Whether a path on Docker Hub is one that is written with `library/` here, and is another name there.
fn library(path: &str) -> bool {
    !path.starts_with('*') && (!path.contains('/') || path.starts_with("library/"))
}

/// The scopes that match all that a path matches, and whether they match more.
fn around(registry: &str, path: &str, tagged: bool) -> Option<(Vec<Area>, bool)> {
    // From the first wildcard inside of it on everything is matched.
    let wild = path.find(['*', '?']);
    let ends = path.strip_suffix('*').filter(|body| !body.contains(['*', '?']));
    let texts = match (wild, ends) {
        (None, _) if tagged => vec![path.to_owned()],
        // A name alone is a tag's pattern: nothing takes up `:tag` there, which is stricter here.
        (None, _) => vec![path.to_owned()],
        (Some(_), Some(body)) if body.is_empty() || body.ends_with('/') => vec![format!("{body}**")],
        (Some(_), Some(body)) => vec![format!("{body}*"), format!("{body}*/**")],
        (Some(at), None) => {
            let before = path.get(..at)?;
            let above = before.rfind('/').map_or("", |at| before.get(..=at).unwrap_or_default());
            vec![format!("{above}**")]
        }
    };
    let wider = wild.is_some() && ends.is_none();
    let mut areas = Vec::new();
    for text in texts {
        let text = match registry == "docker.io" && !text.contains('/') && text != "**" {
            true => format!("library/{text}"),
            false => text,
        };
        areas.push(Area::parse(&format!("{registry}/{text}"))?);
    }
    Some((areas, wider))
}

/// What is skipped whole: `repo*` and `path/*`, whatever stands behind.
pub(super) fn skipped(pattern: &str) -> Skipped {
    let partly = Skipped::Partly("what it skips are some tags, or no scope: it is not skipped here");
    let Some((registry, path)) = pattern.split_once('/') else { return partly };
    let Some(body) = path.strip_suffix('*').filter(|body| !body.contains(['*', '?', ':', '@', '['])) else {
        return partly;
    };
    // `library/` is another name there.
    let on_hub =
        is_hub(registry) && (!body.contains('/') || body.starts_with("library/") || registry != "docker.io");
    let named = registry.contains(['.', ':']) || registry == "localhost";
    if !named || registry.contains(['*', '?', '[']) || on_hub || pattern.contains(['{', '\\']) {
        return partly;
    }
    let texts = match body.is_empty() || body.ends_with('/') {
        true => vec![format!("{registry}/{body}**")],
        false => vec![format!("{registry}/{body}*"), format!("{registry}/{body}*/**")],
    };
    match texts.iter().map(|text| Area::parse(text)).collect::<Option<Vec<_>>>() {
        Some(areas) => Skipped::Areas(areas),
        None => partly,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(pattern: &str) -> String {
        match read(pattern) {
            Matched::Areas { areas, .. } => areas.iter().map(Area::text).collect::<Vec<_>>().join(" "),
            Matched::Unsaid { .. } => "unsaid".to_owned(),
        }
    }

    #[test]
    fn a_pattern_becomes_scopes_that_match_no_less() {
        for (pattern, expected) in [
            ("*", "**"),
            ("docker.io/*", "docker.io/**"),
            ("docker.io/library/x*", "docker.io/library/x* docker.io/library/x*/**"),
            ("docker.io/x*", "docker.io/library/x* docker.io/x*/**"),
            ("docker.io/acme/app*", "docker.io/acme/app* docker.io/acme/app*/**"),
            ("reg.io/a/*", "reg.io/a/**"),
            ("reg.io/a*", "reg.io/a* reg.io/a*/**"),
            ("reg.io/a/b:*", "reg.io/a/b"),
            ("reg.io/a/b:v1*", "reg.io/a/b"),
            ("reg.io/a/b@sha256:*", "reg.io/a/b"),
            ("reg.io/*/b:*", "reg.io/**"),
            ("reg.io/a/x?y*", "reg.io/a/**"),
            ("reg.io:5000/*:v1", "reg.io:5000/**"),
        ] {
            assert_eq!(scopes(pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn a_registry_that_is_a_pattern_and_a_variable_are_not_said() {
        for pattern in
            ["*.dkr.ecr.*/x*", "ghcr.*", "{{ request.x }}", "ghcr.io/{a,b}", "*demo*", "nginx:*", "reg*"]
        {
            assert_eq!(scopes(pattern), "unsaid", "{pattern}");
        }
    }

    #[test]
    fn only_what_is_skipped_whole_is_skipped() {
        let areas =
            |texts: &[&str]| Skipped::Areas(texts.iter().map(|text| Area::parse(text).unwrap()).collect());
        assert_eq!(skipped("reg.io/a*"), areas(&["reg.io/a*", "reg.io/a*/**"]));
        assert_eq!(skipped("reg.io/a/*"), areas(&["reg.io/a/**"]));
        assert_eq!(skipped("docker.io/acme/*"), areas(&["docker.io/acme/**"]));
        // K2, and names that are two there.
        for pattern in [
            "reg.io/a:*",
            "reg.io/a",
            "reg.io/a:v1",
            "docker.io/library/*",
            "docker.io/x*",
            "nginx*",
            "*",
            "reg.io/*/x*",
            "acme/x*",
        ] {
            assert!(matches!(skipped(pattern), Skipped::Partly(_)), "{pattern}");
        }
    }
}
