//! `images[].glob`, compared with `registry/path@sha256:…`, Docker Hub being `index.docker.io`: `*` stands for anything but
//! `/`, so also for `@sha256:…`; `**` for anything.

use crate::import::area::Area;

/// What a glob comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Globbed {
    Areas(Vec<Area>),
    /// The original refuses it.
    Invalid,
    /// It matches nothing there.
    Nothing(&'static str),
    /// No scope says it.
    Unsaid(&'static str),
}

pub(super) fn read(glob: &str) -> Globbed {
    let known = |c: char| c.is_ascii_alphanumeric() || "-_:/*.@".contains(c);
    if glob.is_empty() || !glob.chars().all(known) {
        return Globbed::Invalid;
    }
    match glob {
        "**" | "*/**" => return Globbed::Areas(vec![Area::everything()]),
        "*" => return areas(&["docker.io/library/*"]),
        "*/*" => return areas(&["docker.io/*/*"]),
        _ => {}
    }
    let Some((registry, rest)) = glob.split_once('/') else {
        return match glob.contains("**") {
            true => Globbed::Unsaid("a wildcard in the registry"),
            false => Globbed::Nothing("it names no registry"),
        };
    };
    match registry {
        _ if registry.contains('*') => Globbed::Unsaid("a wildcard in the registry"),
        "docker.io" | "registry-1.docker.io" => Globbed::Nothing("Docker Hub is index.docker.io there"),
        _ if registry.chars().any(|c| c.is_ascii_uppercase()) => Globbed::Unsaid("a registry in upper case"),
        "index.docker.io" => path("docker.io", rest),
        registry => path(registry, rest),
    }
}

fn path(registry: &str, rest: &str) -> Globbed {
    match rest.split_once('@') {
        Some((path, "sha256:*" | "*" | "**" | "sha256:**")) if !path.ends_with('*') => {
            with_digest(registry, path)
        }
        Some((path, "sha256:*" | "*" | "sha256:**" | "**")) => name(registry, path),
        Some(_) => Globbed::Unsaid("a digest, which no scope names"),
        None => match rest.split_once(':') {
            Some((path, tag)) => tagged(registry, path, tag),
            None if rest.ends_with('*') => name(registry, rest),
            None => Globbed::Nothing("nothing in it stands for the digest"),
        },
    }
}

/// A colon can only be that of `sha256:`, which an `*` before it must reach.
fn tagged(registry: &str, path: &str, tag: &str) -> Globbed {
    match tag {
        "*" | "**" if path.ends_with('*') => name(registry, path),
        _ if !path.ends_with('*') => Globbed::Nothing("a tag is never compared"),
        _ if tag.chars().all(|c| c.is_ascii_digit() || "abcdef*".contains(c)) => {
            Globbed::Unsaid("a digest, which no scope names")
        }
        _ => Globbed::Nothing("a tag is never compared"),
    }
}

/// A name that ends with a wildcard, which reaches over the digest.
fn name(registry: &str, path: &str) -> Globbed {
    let (above, last) = path.rsplit_once('/').unwrap_or(("", path));
    let base = last.trim_end_matches('*');
    let inner = above.contains("**") || base.contains("**");
    if inner || base.split('*').skip(1).any(could_be_digest) {
        return Globbed::Unsaid("a pattern that could match a digest, or `**` inside");
    }
    let above = if above.is_empty() { registry.to_owned() } else { format!("{registry}/{above}") };
    if single_on_hub(registry, path) && !last.ends_with("**") {
        return Globbed::Nothing("such repositories of Docker Hub are `library/…` there");
    }
    match (base.is_empty(), last.ends_with("**")) {
        (true, true) => areas(&[&format!("{above}/**")]),
        (true, false) => areas(&[&format!("{above}/*")]),
        (false, true) if single_on_hub(registry, path) => areas(&[&format!("{above}/{base}*/**")]),
        (false, true) => areas(&[&format!("{above}/{base}*"), &format!("{above}/{base}*/**")]),
        (false, false) => areas(&[&format!("{above}/{base}*")]),
    }
}

fn with_digest(registry: &str, path: &str) -> Globbed {
    if path.contains("**") {
        return Globbed::Unsaid("`**` inside");
    }
    if single_on_hub(registry, path) {
        return Globbed::Nothing("such repositories of Docker Hub are `library/…` there");
    }
    areas(&[&format!("{registry}/{path}")])
}

/// A path of one component, which is never compared on Docker Hub.
fn single_on_hub(registry: &str, path: &str) -> bool {
    registry == "docker.io" && !path.contains('/')
}

/// Whether a piece between wildcards could stand in `@sha256:…` as well as in a name.
fn could_be_digest(piece: &str) -> bool {
    !piece.is_empty() && piece.chars().all(|c| c.is_ascii_digit() || "@sha256:bcdef".contains(c))
}

fn areas(texts: &[&str]) -> Globbed {
    let areas: Option<Vec<Area>> = texts.iter().map(|text| Area::parse(text)).collect();
    match areas {
        Some(areas) => Globbed::Areas(areas),
        None if texts.iter().any(|text| text.chars().any(|c| c.is_ascii_uppercase())) => {
            Globbed::Nothing("no repository has upper-case letters")
        }
        None => Globbed::Unsaid("no repository can have such a name"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(glob: &str) -> String {
        match read(glob) {
            Globbed::Areas(areas) => areas.iter().map(Area::text).collect::<Vec<_>>().join(" "),
            Globbed::Invalid => "invalid".to_owned(),
            Globbed::Nothing(_) => "nothing".to_owned(),
            Globbed::Unsaid(_) => "unsaid".to_owned(),
        }
    }

    #[test]
    fn a_glob_becomes_the_scopes_that_it_matches_there() {
        for (glob, expected) in [
            ("**", "**"),
            ("*/**", "**"),
            ("*", "docker.io/library/*"),
            ("*/*", "docker.io/*/*"),
            ("index.docker.io/**", "docker.io/**"),
            ("index.docker.io/acme/*", "docker.io/acme/*"),
            ("index.docker.io/acme**", "docker.io/acme*/**"),
            ("reg.io/a/*:*", "reg.io/a/*"),
            ("reg.io/a/b@sha256:*", "reg.io/a/b"),
            ("reg.io/a*", "reg.io/a*"),
            ("reg.io/a**", "reg.io/a* reg.io/a*/**"),
            ("reg.io/a/**", "reg.io/a/**"),
            ("reg.io/*/b/**", "reg.io/*/b/**"),
            ("reg.io/a/*x*", "reg.io/a/*x*"),
            ("reg.local:5000/x/demo*", "reg.local:5000/x/demo*"),
        ] {
            assert_eq!(scopes(glob), expected, "{glob}");
        }
    }

    #[test]
    fn a_glob_that_matches_nothing_there_governs_nothing_here() {
        for glob in [
            "docker.io/**",
            "docker.io/acme/*",
            "reg.io/a/b",
            "reg.io/a/b:v1",
            "reg.io/a/b:*",
            "images.*",
            "image*",
            "index.docker.io/a*",
            "reg.io/A/*",
        ] {
            assert_eq!(scopes(glob), "nothing", "{glob}");
        }
        assert_eq!((scopes("["), scopes("")), ("invalid".to_owned(), "invalid".to_owned()));
    }

    #[test]
    fn a_glob_that_no_scope_says_is_not_said() {
        for glob in [
            "reg.io/a/*a*",
            "reg.io/**/app*",
            "**demo**",
            "*.gcr.io/**",
            "REG.io/a/*",
            "reg.io/a/b@sha256:d1e7",
            "reg.io/a/*:a*",
            "reg.io/a**b*",
        ] {
            assert_eq!(scopes(glob), "unsaid", "{glob}");
        }
    }
}
