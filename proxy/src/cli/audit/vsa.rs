//! `pullgate audit vsa`: the verdict for others.

use pullgate_policy::text;

use super::super::{Exit, complain, print};
use super::Scan;
use super::verify::follow;
use crate::audit::read::{Filter, Glob, ReadError, Reader, Step};
use crate::audit::{LogKey, PublicKey, vsa};

pub(super) const EXAMPLES: &str = "\
What the newest record about a digest says its policy's requirements came to, as an in-toto Verification Summary (v1) in a
DSSE envelope, signed by the log's key: run it as the gate's user. An exemption, or a policy without requirements, is no
such verdict. Only a record that a head signed by this key covers is one: the log is followed first, and what came since the
newest head is signed within five minutes.

Examples:
  pullgate audit vsa --config pullgate.toml sha256:… > vsa.json
  pullgate audit key --config pullgate.toml --format pem > gate.pub
  cosign verify-blob-attestation --key gate.pub --signature vsa.json --insecure-ignore-tlog \\
    --type https://slsa.dev/verification_summary/v1 manifest.json
                                                       manifest.json has the digest

Exit codes: 0 printed, 1 there is no such verdict, 2 usage, or the log or its key cannot be read.";

/// The arguments of `audit vsa`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The digest of the manifest or index
    digest: String,
    /// The repository, where it was pulled from several
    #[arg(long, value_name = "GLOB")]
    repository: Option<String>,
    /// The URI of the verifier; that of the gate by default, urn:pullgate:GATE
    #[arg(long, value_name = "URI")]
    verifier: Option<String>,
}

pub(super) async fn run(
    reader: &Reader,
    arguments: &Arguments,
    (key, public): (&LogKey, &[PublicKey]),
) -> Result<Exit, ReadError> {
    let own: Vec<PublicKey> = public.iter().filter(|public| key.is_of(public)).cloned().collect();
    // A row that somebody put in says what he likes: it is not signed for.
    let followed = follow(reader, &own).await?;
    let repository = arguments.repository.as_deref().map(Glob::new);
    let filter = Filter { digest: Some(arguments.digest.clone()), repository, ..Filter::default() };
    let (mut search, scan) = (reader.search(filter).await?, Scan::new());
    loop {
        match search.step().await? {
            Step::Nothing => scan.at(search.progress()),
            Step::End => break,
            Step::Found(found) => {
                let record = &found.record;
                if record.digest.as_deref() != Some(&arguments.digest) || !vsa::is_summed_up(record) {
                    continue;
                }
                if !found.position.is_some_and(|position| followed.covers(position)) {
                    complain(&format!(
                        "what is said last of {} is covered by no head of this log that holds: ask again in five minutes, \
                         or see `audit verify`\n",
                        text::escape(&arguments.digest)
                    ));
                    return Ok(Exit::No);
                }
                let verifier = match &arguments.verifier {
                    Some(verifier) => verifier.clone(),
                    None => format!("urn:pullgate:{}", record.gate),
                };
                print(&format!("{}\n", vsa::envelope(&vsa::statement(record, &verifier), key)));
                return Ok(Exit::Success);
            }
        }
    }
    complain(&format!(
        "no record says what a policy's requirements came to for {}\n",
        text::escape(&arguments.digest)
    ));
    Ok(Exit::No)
}
