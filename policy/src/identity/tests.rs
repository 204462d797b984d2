use super::*;

const ISSUER: &str = "https://token.actions.githubusercontent.com";
const SAN: &str = "https://github.com/myorg/myrepo/.github/workflows/b.yml@refs/heads/main";

fn identity(san: &str, claims: &[(&str, &str)]) -> Identity {
    Identity {
        trust: Name::new("sigstore"),
        issuer: ISSUER.into(),
        kind: SanKind::Uri,
        san: san.into(),
        held: None,
        claims: claims.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
    }
}

fn authority(pattern: IdentityPattern, claims: &[(&str, &str)]) -> Authority {
    Authority {
        name: Name::new("ci"),
        uses: Uses::Both,
        transparency: Transparency::Required,
        trust: Name::new("sigstore"),
        by: By::Identity {
            issuer: IdentityPattern::Exact(ISSUER.into()),
            pattern,
            claims: claims.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        },
    }
}

#[test]
fn a236_a_regex_matches_whole_identities_only() {
    for (pattern, good, evil) in [
        ("https://github.com/myorg/", "https://github.com/myorg/", "https://github.com/myorg/../evil"),
        ("a|b", "b", "bb"),
        ("a|b", "a", "ax"),
        ("(?x) a # comment", "a", "a # comment"),
        ("(?x) a # comment", "a", "ba"),
        ("(?m)^a$", "a", "a\nb"),
        ("a", "a", "a\n"),
        ("a\\x23", "a#", "a"),
        ("a(?:#|b)", "a#", "a#\n"),
        ("(?x) a | b # comment", "b", "a\n"),
        ("(?x: a # in )\n)#", "a#", "a"),
        ("a|ab", "ab", "aba"),
    ] {
        let regex = WholeRegex::new(pattern).unwrap();
        assert!(!regex.matches(evil), "{pattern} {evil:?}");
        assert!(regex.matches(good), "{pattern} {good:?}");
    }
    for pattern in ["a)|(b", "(", "a){1000}{1000}{1000}", "a{1000}{1000}{1000}"] {
        assert!(WholeRegex::new(pattern).is_err(), "{pattern}");
    }
}

#[test]
fn a_regex_is_shown_as_its_author_wrote_it() {
    for pattern in ["a|b", "(?x) a # comment"] {
        assert_eq!(WholeRegex::new(pattern).unwrap().as_str(), pattern);
    }
}

#[test]
fn a_signer_is_shown_as_a_key_or_as_a_name_and_who_issued_it() {
    // SHA-256 of "key".
    let id = "sha256:2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683";
    assert_eq!(Principal::Key(KeyId::of_spki(b"key")).to_string(), format!("key {id}"));
    let mut holder = identity("someone@corp.example", &[]);
    holder.issuer = "https://issuer.example\n".to_owned();
    assert_eq!(
        Principal::Identity(holder).to_string(),
        "someone@corp.example (issuer https://issuer.example\\u{a})"
    );
}

#[test]
fn a242_a_stranger_who_calls_the_shared_workflow_is_refused_unless_pinned() {
    let exact = || IdentityPattern::Exact(SAN.into());
    let own =
        Principal::Identity(identity(SAN, &[("source_repository_uri", "https://github.com/myorg/myrepo")]));
    let stranger =
        Principal::Identity(identity(SAN, &[("source_repository_uri", "https://github.com/myorg/my")]));
    assert_eq!(authority(exact(), &[]).recognises(&own), Ok(()));
    assert_eq!(authority(exact(), &[]).recognises(&stranger), Err(Code::CallerUnpinned));
    let pinned = authority(exact(), &[("source_repository_uri", "https://github.com/myorg/my")]);
    assert_eq!(pinned.recognises(&stranger), Ok(()));
    assert_eq!(pinned.recognises(&own), Err(Code::ClaimMismatch));
}

#[test]
fn a242_a_caller_whose_name_is_a_part_of_the_workflows_path_is_a_stranger() {
    let san = "https://github.com/myorg/shared/.github/workflows/b.yml@refs/heads/main";
    let shared = authority(IdentityPattern::Exact(san.into()), &[]);
    for (caller, expected) in [
        ("shared/.github", Err(Code::CallerUnpinned)),
        ("myorg/share", Err(Code::CallerUnpinned)),
        ("myorg/shared", Ok(())),
    ] {
        let principal = Principal::Identity(identity(san, &[("github_workflow_repository", caller)]));
        assert_eq!(shared.recognises(&principal), expected, "{caller}");
    }
}

#[test]
fn a239_a_name_of_one_kind_that_reads_like_another_is_nobody() {
    for (text, kind) in [
        (SAN, SanKind::Uri),
        ("spiffe://corp.example/ci", SanKind::Uri),
        ("someone@corp.example", SanKind::Email),
        ("someone!corp.example", SanKind::OtherName),
        // What stands before a colon is a scheme only as a whole, and from a letter on.
        ("7up:someone@corp.example", SanKind::Email),
        ("some one:someone@corp.example", SanKind::Email),
        ("7up:someone", SanKind::OtherName),
    ] {
        for claimed in [SanKind::Uri, SanKind::Email, SanKind::OtherName] {
            let mut holder = identity(text, &[]);
            holder.kind = claimed;
            let known =
                authority(IdentityPattern::Exact(text.into()), &[]).recognises(&Principal::Identity(holder));
            assert_eq!(known.is_ok(), claimed == kind, "{text} as {claimed:?}");
        }
    }
}

#[test]
fn a232_a240_a322_kinds_issuers_and_trust_tables_do_not_mix() {
    let exact = authority(IdentityPattern::Exact(SAN.into()), &[]);
    let mut other_issuer = identity(SAN, &[]);
    other_issuer.issuer.push('/');
    let mut other_trust = identity(SAN, &[]);
    other_trust.trust = Name::new("corp");
    for principal in [
        Principal::Identity(other_issuer),
        Principal::Identity(other_trust),
        Principal::Identity(identity(&format!("{SAN}-evil"), &[])),
        Principal::Key(KeyId::of_spki(b"x")),
    ] {
        assert_eq!(exact.recognises(&principal), Err(Code::UnknownAuthority));
    }
    assert_eq!(exact.recognises(&Principal::Identity(identity(SAN, &[]))), Ok(()));
}

#[test]
fn a244_a_ref_is_compared_whole() {
    let of = |reference: &str| format!("https://github.com/myorg/myrepo/.github/workflows/b.yml@{reference}");
    let regex = |text: &str| IdentityPattern::Regex(WholeRegex::new(text).unwrap());
    let workflow = r"https://github\.com/myorg/myrepo/\.github/workflows/b\.yml@";
    for (wanted, good, evil) in [
        (
            "refs/heads/main",
            "refs/heads/main",
            &["refs/heads/main-evil", "refs/heads/mai", "refs/heads/main/evil", "refs/tags/main"][..],
        ),
        (
            "refs/tags/v1",
            "refs/tags/v1",
            &["refs/heads/refs/tags/v1", "refs/tags/v1.0", "refs/tags/v10", "refs/heads/v1"],
        ),
        ("main", "main", &["refs/heads/main", "main@refs/heads/main"]),
    ] {
        for pattern in [IdentityPattern::Exact(of(wanted)), regex(&format!("{workflow}{wanted}"))] {
            let known = authority(pattern, &[]);
            let recognised =
                |reference: &str| known.recognises(&Principal::Identity(identity(&of(reference), &[])));
            assert_eq!(recognised(good), Ok(()), "{wanted}");
            for reference in evil {
                assert_eq!(recognised(reference), Err(Code::UnknownAuthority), "{wanted} and {reference}");
            }
        }
    }
    // The same of a ref that is pinned by a claim.
    let pinned = authority(IdentityPattern::Exact(SAN.into()), &[("source_repository_ref", "refs/tags/v1")]);
    for (reference, expected) in [
        ("refs/tags/v1", Ok(())),
        ("refs/heads/refs/tags/v1", Err(Code::ClaimMismatch)),
        ("refs/tags/v1 ", Err(Code::ClaimMismatch)),
    ] {
        let holder = identity(
            SAN,
            &[
                ("source_repository_ref", reference),
                ("source_repository_uri", "https://github.com/myorg/myrepo"),
            ],
        );
        assert_eq!(pinned.recognises(&Principal::Identity(holder)), expected, "{reference}");
    }
}

#[test]
fn a243_a245_claims_pin_the_runner_the_trigger_and_the_number_of_a_repository() {
    let own = [
        ("source_repository_uri", "https://github.com/myorg/myrepo"),
        ("runner_environment", "github-hosted"),
        ("build_trigger", "push"),
        ("source_repository_identifier", "4711"),
        ("source_repository_owner_identifier", "42"),
    ];
    let pinned = authority(IdentityPattern::Exact(SAN.into()), &own[1..]);
    let with = |key: &str, value: Option<&str>| {
        let claims: Vec<_> = own
            .into_iter()
            .filter_map(
                |(name, had)| if name == key { value.map(|value| (name, value)) } else { Some((name, had)) },
            )
            .collect();
        pinned.recognises(&Principal::Identity(identity(SAN, &claims)))
    };
    assert_eq!(with("", None), Ok(()));
    for (key, value) in [
        ("runner_environment", Some("self-hosted")),
        ("build_trigger", Some("pull_request_target")),
        // The same name, registered anew: another repository, another owner.
        ("source_repository_identifier", Some("4712")),
        ("source_repository_owner_identifier", Some("43")),
        ("source_repository_identifier", Some("47110")),
        // A certificate that does not say so is not one that does.
        ("runner_environment", None),
        ("source_repository_identifier", None),
    ] {
        assert_eq!(with(key, value), Err(Code::ClaimMismatch), "{key} {value:?}");
    }
    // Whoever pins nothing of it asks for nothing of it.
    let open = authority(IdentityPattern::Exact(SAN.into()), &[]);
    assert_eq!(open.recognises(&Principal::Identity(identity(SAN, &own[..1]))), Ok(()));
}

#[test]
fn a233_a242_a_workflow_of_ones_own_repository_is_its_own_in_any_case() {
    let san = "https://github.com/MyOrg/MyRepo/.github/workflows/b.yml@refs/heads/main";
    let spelt = authority(IdentityPattern::Exact(san.into()), &[]);
    for (claim, caller, expected) in [
        ("source_repository_uri", "https://github.com/myorg/myrepo", Ok(())),
        ("github_workflow_repository", "myorg/myrepo", Ok(())),
        ("source_repository_uri", "https://github.com/myorg/my", Err(Code::CallerUnpinned)),
        ("github_workflow_repository", "myorg/my", Err(Code::CallerUnpinned)),
        ("source_repository_uri", "https://gitlab.com/myorg/myrepo", Err(Code::CallerUnpinned)),
    ] {
        let principal = Principal::Identity(identity(san, &[(claim, caller)]));
        assert_eq!(spelt.recognises(&principal), expected, "{claim} {caller}");
    }
    // A forge of which nothing is known may have both.
    let corp = "https://git.corp.example/A/b/w.yml";
    let own = authority(IdentityPattern::Exact(corp.into()), &[]);
    let other = identity(corp, &[("source_repository_uri", "https://git.corp.example/a/b")]);
    assert_eq!(own.recognises(&Principal::Identity(other)), Err(Code::CallerUnpinned));
    let key = |san: &str| Principal::Identity(identity(san, &[])).marks();
    assert_eq!(key(san), key(SAN), "one signer for a threshold");
    assert_ne!(key(corp), key("https://git.corp.example/a/b/w.yml"));
    let pinned = authority(
        IdentityPattern::Exact(SAN.into()),
        &[("source_repository_uri", "https://github.com/MyOrg/Caller"), ("build_trigger", "push")],
    );
    let called = |uri: &str, trigger: &str| {
        let claims = [("source_repository_uri", uri), ("build_trigger", trigger)];
        pinned.recognises(&Principal::Identity(identity(SAN, &claims)))
    };
    assert_eq!(called("https://github.com/myorg/caller", "push"), Ok(()));
    assert_eq!(called("https://github.com/myorg/caller2", "push"), Err(Code::ClaimMismatch));
    assert_eq!(called("https://github.com/myorg/caller", "PUSH"), Err(Code::ClaimMismatch));
}

/// Fulcio's directory (`docs/oid-info.md`), but for issuers (.1, .8) and user names (.7).
#[test]
fn claims_have_fulcios_own_names_and_old_ones_stand_for_them() {
    const FULCIO: [&str; 20] = [
        "GitHub Workflow Trigger",
        "GitHub Workflow SHA",
        "GitHub Workflow Name",
        "GitHub Workflow Repository",
        "GitHub Workflow Ref",
        "Build Signer URI",
        "Build Signer Digest",
        "Runner Environment",
        "Source Repository URI",
        "Source Repository Digest",
        "Source Repository Ref",
        "Source Repository Identifier",
        "Source Repository Owner URI",
        "Source Repository Owner Identifier",
        "Build Config URI",
        "Build Config Digest",
        "Build Trigger",
        "Run Invocation URI",
        "Source Repository Visibility At Signing",
        "Deployment Environment",
    ];
    let named = FULCIO.map(|name| name.to_lowercase().replace(' ', "_"));
    for name in &named {
        assert_eq!(claim(name), Some(name.as_str()), "{name}");
    }
    // In its code already, and not yet in the directory.
    let others: Vec<_> = CLAIMS.into_iter().filter(|one| !named.iter().any(|name| name == one)).collect();
    assert_eq!(others, ["token_subject"]);
    assert_eq!(claim("source_repository_visibility"), Some("source_repository_visibility_at_signing"));
    assert_eq!(claim("source_repository_visible"), None);
    assert!(OLD_CLAIMS.iter().all(|(old, name)| !CLAIMS.contains(old) && CLAIMS.contains(name)));
}

#[test]
fn a236_an_issuer_by_a_pattern_is_met_whole() {
    let whole = WholeRegex::new(r"https://token\.actions\.[a-z]+\.ghe\.com").unwrap();
    let by = |issuer: &str| {
        let holder = Identity { issuer: issuer.to_owned(), ..identity(SAN, &[]) };
        let by = By::Identity {
            issuer: IdentityPattern::Regex(whole.clone()),
            pattern: IdentityPattern::Exact(SAN.into()),
            claims: BTreeMap::new(),
        };
        let exact = authority(IdentityPattern::Exact(SAN.into()), &[]);
        Authority { by, ..exact }.recognises(&Principal::Identity(holder))
    };
    assert_eq!(by("https://token.actions.acme.ghe.com"), Ok(()));
    for other in [
        "https://token.actions.acme.ghe.com/evil",
        "https://token.actions.acme.ghe.com.evil",
        "xhttps://token.actions.acme.ghe.com",
        ISSUER,
    ] {
        assert_eq!(by(other), Err(Code::UnknownAuthority), "{other}");
    }
}

#[test]
fn a_regular_expression_that_compiles_to_more_than_its_limit_is_none() {
    assert!(WholeRegex::new(r"\pL{8}").is_ok());
    let fault = WholeRegex::new(r"\pL{800}").unwrap_err();
    assert!(fault.to_string().contains(&limits::REGEX_BYTES.to_string()), "{fault}");
}
