//! The verifier under the Sigstore client conformance protocol.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that people run")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use pullgate_tests::conformance::{Asked, Signer, Trust, verify};

/// Speak the client protocol of the Sigstore conformance suite, with the gate's own verifier.
#[derive(Parser)]
#[command(
    name = "sigstore-conformance",
    after_help = "Examples:\n  sigstore-conformance verify-bundle --bundle a.sigstore.json --certificate-identity me@example.com \\\n      --certificate-oidc-issuer https://accounts.google.com a.txt\n  sigstore-conformance verify-bundle --bundle b.json --key key.pub sha256:HEX"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Verify one bundle. Exit status: 0 when it verifies, else 1 with the reason.
    VerifyBundle(VerifyBundle),
}

#[derive(Args)]
struct VerifyBundle {
    /// Trust Sigstore's staging instance.
    #[arg(long, conflicts_with = "trusted_root")]
    staging: bool,
    /// The bundle.
    #[arg(long)]
    bundle: PathBuf,
    /// The identity that must have signed, exactly.
    #[arg(long, requires = "certificate_oidc_issuer", required_unless_present = "key")]
    certificate_identity: Option<String>,
    /// The issuer that must have vouched for it.
    #[arg(long, requires = "certificate_identity")]
    certificate_oidc_issuer: Option<String>,
    /// The public key that must have signed.
    #[arg(long, conflicts_with = "certificate_identity")]
    key: Option<PathBuf>,
    /// What is trusted; the built-in roots where nothing is named.
    #[arg(long)]
    trusted_root: Option<PathBuf>,
    /// The file that the bundle is about, or `sha256:` and its digest.
    #[arg(value_name = "FILE_OR_DIGEST")]
    artifact: String,
}

fn main() -> ExitCode {
    let Arguments { command: Command::VerifyBundle(arguments) } = Arguments::parse();
    let trust = match (arguments.trusted_root, arguments.staging) {
        (Some(file), _) => Trust::File(file),
        (None, true) => Trust::Staging,
        (None, false) => Trust::BuiltIn,
    };
    let signer = match (arguments.key, arguments.certificate_identity, arguments.certificate_oidc_issuer) {
        (Some(key), _, _) => Signer::Key(key),
        (None, Some(identity), Some(issuer)) => Signer::Identity { identity, issuer },
        (None, _, _) => {
            eprintln!("sigstore-conformance: neither a key nor an identity with its issuer is named");
            return ExitCode::from(1);
        }
    };
    let asked = Asked { bundle: arguments.bundle, signer, trust, artifact: arguments.artifact };
    match verify(&asked) {
        Ok(by) => {
            println!("verified: {by}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("sigstore-conformance: {why}");
            ExitCode::from(1)
        }
    }
}
