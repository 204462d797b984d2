use super::*;

fn scope(text: &str) -> Scope {
    Scope::parse(text).unwrap()
}

#[test]
fn a406_a_scope_matches_what_it_says_and_no_look_alike() {
    for (glob, repository, expected) in [
        ("ghcr.io/myorg/**", "ghcr.io/myorg/a/b", true),
        ("ghcr.io/myorg/**", "ghcr.io/myorg-evil/a", false),
        ("ghcr.io/myorg/**", "ghcr.io/myorg", false),
        ("ghcr.io/myorg/*", "ghcr.io/myorg/a/b", false),
        ("ghcr.io/myorg/*", "ghcr.io/myorg/a", true),
        ("ghcr.io/myorg*/x", "ghcr.io/myorg-evil/x", true),
        ("ghcr.io/my*rg/x", "ghcr.io/myrg/x", true),
        ("ghcr.io/a*b*c/x", "ghcr.io/abbc/x", true),
        ("ghcr.io/a*bc*c/x", "ghcr.io/abc/x", false),
        ("docker.io/alpine", "docker.io/library/alpine", true),
        ("docker.io/library/*", "docker.io/alpine", true),
        ("docker.io/*", "docker.io/library/alpine", true),
        ("docker.io/alp*", "docker.io/alpine", true),
        ("docker.io/*", "docker.io/someone/alpine", false),
        ("docker.io/**", "docker.io/someone/alpine", true),
        ("**", "docker.io/alpine", true),
        ("ghcr.io/**", "docker.io/alpine", false),
    ] {
        let repository: Repository = repository.parse().unwrap();
        assert_eq!(scope(glob).matches(&repository), expected, "{glob} {repository}");
    }
}

#[test]
fn a405_wildcard_registries_and_half_scopes_are_refused() {
    for (text, fault) in [
        ("*.io/**", ScopeInvalid::RegistryWildcard),
        ("*", ScopeInvalid::RegistryWildcard),
        ("ghcr.io", ScopeInvalid::NoRepository),
        ("ghcr.io/**/x", ScopeInvalid::RestInside),
        ("ghcr.io/a**", ScopeInvalid::RestInside),
        ("ghcr.io//x", ScopeInvalid::Grammar),
        ("ghcr.io/X", ScopeInvalid::Grammar),
        ("ghcr.io/-x/**", ScopeInvalid::Grammar),
        ("ghcr.io/x..y", ScopeInvalid::Grammar),
        ("ghcr.io/x:tag", ScopeInvalid::Grammar),
    ] {
        assert_eq!(Scope::parse(text), Err(fault), "{text}");
    }
}

#[test]
fn the_more_specific_scope_wins_from_the_left() {
    for (winner, loser) in [
        ("r.io/a/b", "r.io/a/*"),
        ("r.io/a/b*", "r.io/a/*"),
        ("r.io/a/*", "r.io/a/**"),
        ("r.io/a/**", "r.io/**"),
        ("r.io/a/*/c", "r.io/*/b/c"),
        ("r.io/**", "**"),
    ] {
        assert_eq!(scope(winner).specificity(&scope(loser)), Ordering::Less, "{winner} {loser}");
        assert_eq!(scope(winner).tie(&scope(loser)), None);
    }
}

#[test]
fn a405_a_tie_names_a_repository_that_both_match() {
    for (a, b, tied) in [
        ("r.io/a*/x", "r.io/*b/x", true),
        ("r.io/a*/x", "r.io/b*/x", false),
        ("r.io/a/**", "r.io/a/**", true),
        ("r.io/a/*", "r.io/b/*", false),
        ("r.io/a*c/x", "r.io/ab*/x", true),
    ] {
        let tie = scope(a).tie(&scope(b));
        assert_eq!(tie.is_some(), tied, "{a} {b}: {tie:?}");
        if let Some(name) = tie {
            let repository: Repository = name.parse().unwrap();
            assert!(scope(a).matches(&repository) && scope(b).matches(&repository), "{name}");
        }
    }
}
