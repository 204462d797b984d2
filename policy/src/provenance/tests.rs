use serde_json::json;

use super::*;
use crate::forge::GITHUB_ISSUER;
use crate::identity::{KeyId, Name};

mod certified;

const WORKFLOW: &str = "https://github.com/myorg/app/.github/workflows/ci.yml@refs/heads/main";

fn github(san: &str, claims: &[(&str, &str)]) -> Principal {
    Principal::Identity(Identity {
        trust: Name::new("sigstore"),
        issuer: GITHUB_ISSUER.to_owned(),
        kind: SanKind::Uri,
        san: san.to_owned(),
        held: None,
        claims: claims.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
    })
}

/// Somebody whom another issuer may have named.
fn by_issuer(issuer: &str, kind: SanKind, runner: &str) -> Principal {
    let Principal::Identity(identity) = github(WORKFLOW, &[("runner_environment", runner)]) else {
        panic!("not an identity")
    };
    Principal::Identity(Identity { issuer: issuer.to_owned(), kind, ..identity })
}

/// A workflow of `myorg/app` on main, hosted.
fn ci() -> Principal {
    github(
        WORKFLOW,
        &[
            ("source_repository_uri", "https://github.com/myorg/app"),
            ("source_repository_ref", "refs/heads/main"),
            ("source_repository_digest", "c0ffee"),
            ("runner_environment", "github-hosted"),
            ("build_signer_uri", WORKFLOW),
        ],
    )
}

fn key() -> Principal {
    Principal::Key(KeyId::of_spki(b"key"))
}

fn v02(source: &str) -> Value {
    json!({
        "builder": { "id": WORKFLOW }, "buildType": "https://example.com/build",
        "invocation": { "configSource": { "uri": source, "digest": { "sha1": "c0ffee" } } },
    })
}

fn v1(repository: &str, resolved: &str) -> Value {
    json!({
        "buildDefinition": {
            "buildType": "https://actions.github.io/buildtypes/workflow/v1",
            "externalParameters": { "workflow": { "repository": repository, "ref": "refs/heads/main", "path": ".github/workflows/ci.yml" } },
            "resolvedDependencies": [{ "uri": resolved, "digest": { "gitCommit": "c0ffee" } }],
        },
        "runDetails": { "builder": { "id": WORKFLOW } },
    })
}

const APP: &str = "https://github.com/myorg/app";
const RESOLVED: &str = "git+https://github.com/myorg/app@refs/heads/main";

#[test]
fn both_versions_are_one_shape() {
    for (predicate_type, predicate) in [(SLSA_V02, v02(RESOLVED)), (SLSA_V1, v1(APP, RESOLVED))] {
        for principal in [ci(), key()] {
            let read = Provenance::read(predicate_type, &predicate, &principal).unwrap().unwrap();
            assert_eq!(read.source.unwrap().as_str(), APP, "{predicate_type}");
            assert_eq!(read.reference.as_deref(), Some("refs/heads/main"));
            assert_eq!(read.commit.as_deref(), Some("c0ffee"));
            assert_eq!(read.builder.as_deref(), Some(WORKFLOW));
            assert!(read.build_type.is_some());
        }
    }
    let buildkit = json!({
        "builder": { "id": "" }, "buildType": "https://mobyproject.org/buildkit@v1",
        "invocation": { "configSource": { "uri": "https://github.com/myorg/app.git#refs/heads/main:sub", "digest": { "sha1": "c0ffee" }, "entryPoint": "Dockerfile" } },
    });
    let read = Provenance::read(SLSA_V02, &buildkit, &key()).unwrap().unwrap();
    assert_eq!((read.source.unwrap().as_str(), read.reference.as_deref()), (APP, Some("refs/heads/main")));
    assert_eq!(read.builder, None);
    assert_eq!(
        Provenance::read("https://cosign.sigstore.dev/attestation/vuln/v1", &buildkit, &key()),
        Ok(None)
    );
}

#[test]
fn a216_fields_of_another_version_are_not_read_and_two_that_differ_are_none() {
    let mixed = v1("https://github.com/evil/app", RESOLVED);
    let read = Provenance::read(SLSA_V1, &mixed, &key()).unwrap().unwrap();
    assert_eq!(read.source, None, "the parameters and the resolved dependency differ");
    let mut both = v02("git+https://github.com/evil/app@refs/heads/main");
    let other = v1(APP, RESOLVED);
    both["buildDefinition"] = other["buildDefinition"].clone();
    both["runDetails"] = other["runDetails"].clone();
    assert_eq!(Provenance::read(SLSA_V1, &both, &key()).unwrap().unwrap().source.unwrap().as_str(), APP);
    assert_eq!(
        Provenance::read(SLSA_V02, &both, &key()).unwrap().unwrap().source.unwrap().as_str(),
        "https://github.com/evil/app"
    );
}

#[test]
fn a218_the_certificate_stands_before_what_a_caller_typed() {
    let typed = v1("https://github.com/myorg/other", "git+https://github.com/myorg/other@refs/heads/main");
    assert_eq!(Provenance::read(SLSA_V1, &typed, &ci()), Err(Code::ProvenanceConflict));
    let mut branch = v1(APP, RESOLVED);
    branch["buildDefinition"]["externalParameters"]["workflow"]["ref"] = json!("refs/heads/evil");
    branch["buildDefinition"]["resolvedDependencies"] = json!([]);
    assert_eq!(Provenance::read(SLSA_V1, &branch, &ci()), Err(Code::ProvenanceConflict));
    let silent = json!({ "buildDefinition": {}, "runDetails": {} });
    let read = Provenance::read(SLSA_V1, &silent, &ci()).unwrap().unwrap();
    assert_eq!(read.source.unwrap().as_str(), APP, "the certificate alone is enough");
}

#[test]
fn an_older_certificate_names_a_repository_of_the_installation_that_issued_it() {
    let older = |issuer: &str, host: &str| {
        let san = format!("https://{host}/myorg/app/.github/workflows/ci.yml@refs/heads/main");
        let claims = [("github_workflow_repository", "myorg/app")];
        let Principal::Identity(identity) = github(&san, &claims) else { panic!("not an identity") };
        let principal = Principal::Identity(Identity { issuer: issuer.to_owned(), ..identity });
        let read = Provenance::read(SLSA_V1, &json!({}), &principal).unwrap().unwrap();
        read.source.map(|source| source.to_string())
    };
    assert_eq!(older(GITHUB_ISSUER, "github.com").as_deref(), Some(APP));
    assert_eq!(older(GITHUB_ISSUER, "elsewhere.example").as_deref(), Some(APP), "the issuer's word");
    let other = older("https://git.corp.example/_services/token", "git.corp.example");
    assert_eq!(other.as_deref(), Some("https://git.corp.example/myorg/app"));
}

#[test]
fn a_builder_that_a_predicate_merely_names_is_not_the_builder() {
    let mut claimed = v1(APP, RESOLVED);
    claimed["runDetails"]["builder"]["id"] = json!(
        "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/generator_container_slsa3.yml@refs/tags/v2.1.0"
    );
    let read = Provenance::read(SLSA_V1, &claimed, &ci()).unwrap().unwrap();
    assert_eq!((read.builder.as_deref(), read.level), (None, Level::Two));
    let asked = Slsa { builder: Some(Builder::Generator), ..Slsa::default() };
    assert_eq!(asked.met_by(&read, &ci()), Err(Code::ProvenanceBuilder));
}

#[test]
fn a_level_rests_on_who_signed() {
    let with = |san: &str, claims: &[(&str, &str)]| {
        Provenance::read(SLSA_V1, &json!({}), &github(san, claims)).unwrap().unwrap().level
    };
    let source = ("source_repository_uri", APP);
    let hosted = ("runner_environment", "github-hosted");
    assert_eq!(with(WORKFLOW, &[source, hosted]), Level::Two);
    assert_eq!(with(WORKFLOW, &[source, ("runner_environment", "self-hosted")]), Level::One);
    assert_eq!(with(WORKFLOW, &[source]), Level::One);
    let shared = "https://github.com/myorg/shared/.github/workflows/build.yml@refs/heads/main";
    assert_eq!(with(shared, &[source, hosted]), Level::Three);
    // Written in another case it is the same repository, which no workflow of its own lies outside of.
    let spelt = "https://github.com/MyOrg/APP/.github/workflows/ci.yml@refs/heads/main";
    assert_eq!(with(spelt, &[source, hosted]), Level::Two);
    let elsewhere = ("source_repository_uri", "https://git.corp.example/MYORG/app");
    let own = "https://git.corp.example/myorg/app/.github/workflows/ci.yml@refs/heads/main";
    assert_eq!(with(own, &[elsewhere, hosted]), Level::Two);
    assert_eq!(
        with("https://github.com/myorg/app-evil/.github/workflows/x.yml@refs/heads/main", &[source, hosted]),
        Level::Three
    );
    assert_eq!(
        with(&format!("{GENERATOR}generator_container_slsa3.yml@refs/tags/v2.1.0"), &[source]),
        Level::Three
    );
    assert_eq!(
        with(&format!("{GENERATOR}generator_container_slsa3.yml@refs/heads/main"), &[source]),
        Level::One
    );
    assert_eq!(Provenance::read(SLSA_V1, &json!({}), &key()).unwrap().unwrap().level, Level::One);
}

#[test]
fn a217_provenance_about_another_source_or_ref_does_not_match() {
    let read = Provenance::read(SLSA_V1, &v1(APP, RESOLVED), &ci()).unwrap().unwrap();
    let asked = |source: &str, reference: &str, level: i64| Slsa {
        level: Level::of_number(level),
        source: Source::parse(source),
        reference: Some(reference.to_owned()),
        builder: Some(Builder::GitHub),
    };
    assert_eq!(asked("github.com/myorg/app", "refs/heads/main", 2).met_by(&read, &ci()), Ok(()));
    for (asked, code) in [
        (asked("github.com/myorg/other", "refs/heads/main", 2), Code::ProvenanceSource),
        (asked("github.com/myorg/app-evil", "refs/heads/main", 2), Code::ProvenanceSource),
        (asked("github.com/myorg/app", "refs/heads/main-evil", 2), Code::ProvenanceRef),
        (asked("github.com/myorg/app", "refs/tags/main", 2), Code::ProvenanceRef),
        (asked("github.com/myorg/app", "refs/heads/main", 3), Code::ProvenanceLevel),
    ] {
        assert_eq!(asked.met_by(&read, &ci()), Err(code));
    }
    assert_eq!(
        asked("github.com/myorg/app", "refs/heads/main", 1).met_by(&read, &key()),
        Err(Code::ProvenanceBuilder)
    );
    let unknown = Provenance { source: None, ..read };
    assert_eq!(
        asked("github.com/myorg/app", "refs/heads/main", 2).met_by(&unknown, &ci()),
        Err(Code::ProvenanceSource)
    );
}

/// What is read of a predicate that names `builder`, signed by `principal`.
fn builder_of(builder: &str, principal: &Principal) -> Option<String> {
    let predicate = json!({ "runDetails": { "builder": { "id": builder } } });
    Provenance::read(SLSA_V1, &predicate, principal).unwrap().unwrap().builder
}

#[test]
fn a_builder_is_believed_of_the_signer_or_of_its_certified_workflow() {
    let shared = "https://github.com/myorg/shared/.github/workflows/build.yml@refs/heads/main";
    let (by_name, by_claim) = (github(shared, &[]), github(WORKFLOW, &[("build_signer_uri", shared)]));
    assert_eq!(builder_of(shared, &by_name).as_deref(), Some(shared));
    assert_eq!(builder_of(shared, &by_claim).as_deref(), Some(shared));
    assert_eq!(builder_of(shared, &github(WORKFLOW, &[("build_signer_uri", WORKFLOW)])), None);
    assert_eq!(builder_of(shared, &github(WORKFLOW, &[])), None);
}

#[test]
fn the_runner_of_github_is_believed_of_its_own_hosted_workflows_alone() {
    let hosted = github(WORKFLOW, &[("runner_environment", "github-hosted")]);
    let own_runner = github(WORKFLOW, &[("runner_environment", "self-hosted")]);
    let gitlab = by_issuer("https://gitlab.com", SanKind::Uri, "gitlab-hosted");
    for runner in [
        "https://github.com/actions/runner/github-hosted",
        "https://github.com/Attestations/GitHubHostedActions@v1",
    ] {
        assert_eq!(builder_of(runner, &hosted).as_deref(), Some(runner));
        assert_eq!(builder_of(runner, &own_runner), None, "{runner}");
        assert_eq!(builder_of(runner, &gitlab), None, "{runner}");
    }
    assert_eq!(builder_of("https://example.com/runner", &hosted), None);
}

#[test]
fn a_level_above_one_needs_a_platform_and_the_name_of_a_workflow() {
    for (issuer, kind, runner, level) in [
        ("https://token.actions.githubusercontent.com", SanKind::Uri, "github-hosted", Level::Two),
        ("https://token.actions.githubusercontent.com/acme", SanKind::Uri, "github-hosted", Level::Two),
        ("https://token.actions.acme.ghe.com", SanKind::Uri, "github-hosted", Level::Two),
        ("https://token.actions.githubusercontent.com.evil", SanKind::Uri, "github-hosted", Level::One),
        ("https://gitlab.com", SanKind::Uri, "gitlab-hosted", Level::Two),
        ("https://gitlab.com", SanKind::Uri, "self-hosted", Level::One),
        ("https://gitlab.com", SanKind::Email, "gitlab-hosted", Level::One),
        ("https://issuer.example", SanKind::Uri, "github-hosted", Level::One),
        ("https://issuer.example", SanKind::Email, "github-hosted", Level::One),
    ] {
        let principal = by_issuer(issuer, kind, runner);
        let read = Provenance::read(SLSA_V1, &json!({}), &principal).unwrap().unwrap();
        assert_eq!(read.level, level, "{issuer} {kind:?} {runner}");
    }
}

/// Source and commit of a build with these external parameters and resolved dependencies.
fn resolved(outer: &Value, dependencies: &[Value]) -> (Option<String>, Option<String>) {
    let definition = json!({ "externalParameters": outer, "resolvedDependencies": dependencies });
    let predicate = json!({ "buildDefinition": definition });
    let read = Provenance::read(SLSA_V1, &predicate, &key()).unwrap().unwrap();
    (read.source.map(|source| source.to_string()), read.commit)
}

#[test]
fn a216_resolved_dependencies_have_no_order_and_only_one_can_be_the_source() {
    let image = json!({ "uri": "pkg:docker/golang@1.25", "digest": { "sha1": "badbad" } });
    let app = json!({ "uri": RESOLVED, "digest": { "gitCommit": "c0ffee" } });
    let library = json!({ "uri": "git+https://github.com/myorg/library@refs/heads/main", "digest": { "gitCommit": "decaf0" } });
    let (none, is_app) = ((None, None), (Some(APP.to_owned()), Some("c0ffee".to_owned())));
    let lists =
        [[image.clone(), app.clone(), library.clone()], [library.clone(), app.clone(), image.clone()]];
    for outer in [
        json!({ "workflow": { "repository": APP, "ref": "refs/heads/main" } }),
        json!({ "buildConfigSource": { "repository": APP, "ref": "refs/heads/main" } }),
        json!({ "source": { "uri": RESOLVED } }),
        json!({ "configSource": { "uri": format!("{APP}.git") } }),
    ] {
        for list in &lists {
            assert_eq!(resolved(&outer, list), is_app, "{outer}");
        }
    }
    assert_eq!(resolved(&json!({}), &[image.clone(), app.clone()]), is_app);
    for list in &lists {
        assert_eq!(resolved(&json!({}), list), none, "which of them was built?");
    }
    // A Dockerfile of a local context that adds a repository; a workflow whose repository is no address.
    for outer in
        [json!({ "configSource": { "path": "Dockerfile" } }), json!({ "workflow": { "repository": "?" } })]
    {
        assert_eq!(resolved(&outer, std::slice::from_ref(&app)), none, "{outer}");
    }
    let context = json!({ "configSource": { "uri": APP, "digest": { "sha1": "c0ffee" } } });
    assert_eq!(
        resolved(&context, std::slice::from_ref(&library)),
        is_app,
        "added to a context that is named"
    );
    let workflow = json!({ "workflow": { "repository": APP } });
    assert_eq!(resolved(&workflow, std::slice::from_ref(&library)).0, None, "a contradiction");
    let given = |of: &Value| with_name(of, "inputs/result");
    let pipeline = [with_name(&library, "pipeline"), given(&app), with_name(&library, "pipelineTask")];
    assert_eq!(resolved(&json!({ "runSpec": {} }), &pipeline), is_app);
    assert_eq!(resolved(&json!({ "runSpec": {} }), &[given(&app), given(&library)]), none);
}

fn with_name(dependency: &Value, name: &str) -> Value {
    let mut named = dependency.clone();
    named["name"] = json!(name);
    named
}

#[test]
fn an_image_is_no_source() {
    let image_alone = json!({ "buildDefinition": { "resolvedDependencies": [
        { "uri": "pkg:docker/golang@1.25", "digest": { "sha1": "badbad" } },
    ] } });
    let read = Provenance::read(SLSA_V1, &image_alone, &key()).unwrap().unwrap();
    assert_eq!((read.source, read.commit), (None, None));
}

/// What BuildKit writes of a Git context at this fragment, in both versions of the predicate.
fn built_from(fragment: &str) -> [(&'static str, Value); 2] {
    let config = json!({ "uri": format!("https://github.com/myorg/app.git#{fragment}"), "digest": { "sha1": COMMIT } });
    [
        (SLSA_V02, json!({ "invocation": { "configSource": config } })),
        (SLSA_V1, json!({ "buildDefinition": { "externalParameters": { "configSource": config } } })),
    ]
}

const COMMIT: &str = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00";

#[test]
fn a_commit_behind_a_repository_is_no_ref_and_contradicts_no_certificate() {
    let workflow = |commit: &str| {
        github(
            WORKFLOW,
            &[
                ("source_repository_uri", APP),
                ("source_repository_ref", "refs/heads/main"),
                ("source_repository_digest", commit),
            ],
        )
    };
    for fragment in [COMMIT.to_owned(), format!("{COMMIT}:sub"), "refs/heads/main".to_owned()] {
        for (predicate_type, predicate) in built_from(&fragment) {
            let read = Provenance::read(predicate_type, &predicate, &workflow(COMMIT)).unwrap().unwrap();
            let told = (read.reference.as_deref(), read.commit.as_deref());
            assert_eq!(told, (Some("refs/heads/main"), Some(COMMIT)), "{predicate_type} {fragment}");
        }
    }
    for (predicate_type, predicate) in built_from(COMMIT) {
        let read = Provenance::read(predicate_type, &predicate, &key()).unwrap().unwrap();
        assert_eq!((read.reference, read.commit.as_deref()), (None, Some(COMMIT)), "{predicate_type}");
        let other = workflow("decaf000decaf000decaf000decaf000decaf000");
        let conflict = Provenance::read(predicate_type, &predicate, &other);
        assert_eq!(conflict, Err(Code::ProvenanceConflict), "{predicate_type}: another commit");
    }
    for (predicate_type, predicate) in built_from("refs/heads/evil") {
        let conflict = Provenance::read(predicate_type, &predicate, &workflow(COMMIT));
        assert_eq!(conflict, Err(Code::ProvenanceConflict), "{predicate_type}: another ref");
    }
    // A name that merely begins as a commit is a name.
    for (predicate_type, predicate) in built_from("c0ffee") {
        let read = Provenance::read(predicate_type, &predicate, &key()).unwrap().unwrap();
        assert_eq!(read.reference.as_deref(), Some("c0ffee"), "{predicate_type}");
    }
}

#[test]
fn a_commit_behind_a_repository_and_one_beside_it_that_differ_are_none() {
    for (predicate_type, predicate) in built_from("decaf000decaf000decaf000decaf000decaf000") {
        let read = Provenance::read(predicate_type, &predicate, &key()).unwrap().unwrap();
        assert_eq!((read.reference, read.commit), (None, None), "{predicate_type}");
    }
}

#[test]
fn a_branch_that_is_named_like_a_release_is_no_release_of_the_generator() {
    let level = |reference: &str| {
        let san = format!("{GENERATOR}generator_container_slsa3.yml@{reference}");
        let signer = github(&san, &[("source_repository_uri", APP)]);
        Provenance::read(SLSA_V1, &json!({}), &signer).unwrap().unwrap().level
    };
    assert_eq!(level("refs/tags/v2.1.0"), Level::Three);
    assert_eq!(level("refs/heads/x@refs/tags/v2.1.0"), Level::One);
    assert_eq!(level("refs/pull/1/head@refs/tags/v1"), Level::One);
}
