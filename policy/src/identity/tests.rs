use super::*;

const ISSUER: &str = "https://token.actions.githubusercontent.com";
const SAN: &str = "https://github.com/myorg/myrepo/.github/workflows/b.yml@refs/heads/main";

fn identity(san: &str, claims: &[(&str, &str)]) -> Identity {
    Identity {
        trust: Name::new("sigstore"),
        issuer: ISSUER.into(),
        kind: SanKind::Uri,
        san: san.into(),
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
            issuer: ISSUER.into(),
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
