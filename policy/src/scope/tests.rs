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
        ("ghcr.io/X*", ScopeInvalid::Grammar),
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
fn a405_a_pattern_within_another_is_more_specific_and_ranks_come_first() {
    for (winner, loser) in [
        ("r.io/a/app-v*", "r.io/a/app-*"),
        ("r.io/a/app-*-v*", "r.io/a/app-*"),
        ("r.io/a/app-*b*", "r.io/a/*a*"),
        ("r.io/ab*/**", "r.io/a*/**"),
        ("r.io/ab*/x-*", "r.io/a*/x-v*"),
        // As it was: the first component in which ranks differ decides, wherever a pattern lies within another.
        ("r.io/app-*/b", "r.io/app-v*/*"),
        ("r.io/app-*/b*", "r.io/app-v*/**"),
    ] {
        assert_eq!(scope(winner).specificity(&scope(loser)), Ordering::Less, "{winner} {loser}");
        assert_eq!(scope(loser).specificity(&scope(winner)), Ordering::Greater, "{winner} {loser}");
        assert_eq!(scope(winner).tie(&scope(loser)), None);
    }
    for (a, b) in
        [("r.io/a/app-*", "r.io/a/*-v1"), ("r.io/a*/x-v*", "r.io/*a/x-*"), ("r.io/a/x*y", "r.io/a/xy*")]
    {
        assert_eq!(scope(a).specificity(&scope(b)), Ordering::Equal, "{a} {b}");
        assert!(scope(a).tie(&scope(b)).is_some(), "{a} {b}");
    }
}

#[test]
fn scopes_of_different_lengths_never_tie() {
    for (short, long) in [("r.io/a", "r.io/a/b"), ("r.io/a/*", "r.io/a/*/**")] {
        assert_eq!(scope(short).tie(&scope(long)), None, "{short} {long}");
        assert_eq!(scope(long).tie(&scope(short)), None, "{long} {short}");
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

#[test]
fn a_scope_is_shown_as_it_was_written() {
    for text in ["**", "ghcr.io/myorg/**", "docker.io/alpine", "index.docker.io/*"] {
        assert_eq!(scope(text).as_str(), text);
        assert_eq!(scope(text).to_string(), text);
    }
}

#[test]
fn every_scope_but_the_one_over_everything_has_a_registry() {
    for (text, registry) in [
        ("ghcr.io/myorg/**", Some("ghcr.io")),
        ("localhost:5000/app", Some("localhost:5000")),
        ("index.docker.io/alpine", Some("docker.io")),
        ("**", None),
    ] {
        assert_eq!(scope(text).registry(), registry, "{text}");
    }
}

#[test]
fn two_stars_alone_are_every_repository_and_two_stars_below_a_registry_are_not() {
    assert!(scope("**").is_everything());
    assert!(!scope("ghcr.io/**").is_everything());
    assert!(!scope("ghcr.io/myorg/app").is_everything());
}

#[test]
fn an_owner_is_left_open_where_a_star_ends_it_half_written() {
    for (text, open) in [
        ("ghcr.io/myorg*", true),
        ("ghcr.io/myorg*/app", true),
        ("ghcr.io/my*rg/app", false),
        ("ghcr.io/*", false),
        ("ghcr.io/myorg/app*", false),
        ("ghcr.io/myorg/**", false),
        ("**", false),
    ] {
        assert_eq!(scope(text).leaves_owner_open(), open, "{text}");
    }
}
