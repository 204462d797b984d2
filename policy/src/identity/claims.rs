//! What certificates say of their holders besides, by name.

/// Claims that pin who called a shared workflow (A242).
pub const CALLER_CLAIMS: [&str; 3] =
    ["source_repository_uri", "source_repository_owner_uri", "github_workflow_repository"];

/// Claims that are the address of a repository or its owner.
pub(super) const ADDRESS_CLAIMS: [&str; 2] = ["source_repository_uri", "source_repository_owner_uri"];

/// Fulcio's claims by its own names (`docs/oid-info.md`, 1.3.6.1.4.1.57264.1.2 to .24 but the names of issuers and users).
pub const CLAIMS: [&str; 21] = [
    "build_config_digest",
    "build_config_uri",
    "build_signer_digest",
    "build_signer_uri",
    "build_trigger",
    "deployment_environment",
    "github_workflow_name",
    "github_workflow_ref",
    "github_workflow_repository",
    "github_workflow_sha",
    "github_workflow_trigger",
    "run_invocation_uri",
    "runner_environment",
    "source_repository_digest",
    "source_repository_identifier",
    "source_repository_owner_identifier",
    "source_repository_owner_uri",
    "source_repository_ref",
    "source_repository_uri",
    "source_repository_visibility_at_signing",
    "token_subject",
];

/// Names by which policies were written before they had Fulcio's own, and these.
pub const OLD_CLAIMS: [(&str, &str); 1] =
    [("source_repository_visibility", "source_repository_visibility_at_signing")];

/// The claim of this name, or of an old one, as Fulcio calls it.
#[must_use]
pub fn claim(name: &str) -> Option<&'static str> {
    let old = OLD_CLAIMS.into_iter().find(|(old, _)| *old == name).map(|(_, claim)| claim);
    old.or_else(|| CLAIMS.into_iter().find(|claim| *claim == name))
}
