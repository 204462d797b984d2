//! The stages of a pull, for one image, with an ear at each. The verdict is `decide`'s alone.

use std::sync::Arc;

use pullgate_policy::content::Intact;
use pullgate_policy::decide::{self, Outcome};
use pullgate_policy::evidence::Evidence;
use pullgate_policy::oci::{Document, Manifest, Reference, Repository};
use pullgate_policy::policy::{Governing, Mode, Unmatched};
use pullgate_policy::verdict::{self, Denial, Ground, Subject, Verdict};

use super::report::{Child, Governed, Reason, Report, Word};
use super::{evidence, requirement};
use crate::cli::image::Image;
use crate::live::Live;
use crate::pull::collect::passing::Looked;
use crate::pull::handles::Handles;
use crate::pull::{Pull, collect, resolve, verify};
use crate::refusal::{Missing, Refusal};
use crate::route::{Registries as _, RouteFault};

/// Judges one image.
pub(super) async fn image(app: &Arc<Handles>, asked: &Image) -> Report {
    let live = app.live();
    let asked = Image { repository: canonical(&live, &asked.repository), reference: asked.reference.clone() };
    let mut report = Report::about(asked.to_string());
    if let Err(refusal) = stages(app, &live, &asked, &mut report).await {
        refused(&mut report, &refusal);
    }
    report
}

/// The repository under its registry's own name, where an alias was written.
fn canonical(live: &Live, repository: &Repository) -> Repository {
    live.find(repository.registry().as_str())
        .and_then(|registry| Repository::new(registry, repository.path()).ok())
        .unwrap_or_else(|| repository.clone())
}

/// The order is that of `pull::judged`.
async fn stages(
    app: &Arc<Handles>,
    live: &Arc<Live>,
    asked: &Image,
    report: &mut Report,
) -> Result<(), Refusal> {
    let repository = &asked.repository;
    report.policy = governed(live, repository);
    live.upstream(repository).ok_or(Refusal::Request(RouteFault::RegistryUnknown))?;
    may_ask(live, asked)?;
    let pull = Pull {
        repository: repository.clone(),
        reference: asked.reference.clone(),
        accept: crate::accept::Accept::default(),
    };
    let document = resolve::manifest(app, live, &pull).await?.document;
    resolved(report, &document);
    let subject = Subject { repository: repository.clone(), digest: document.digest() };
    let (policy, now) = (live.policy(), app.clock.now());
    if let Some(verdict) = decide::without_evidence(policy, &subject, document.value(), now) {
        decided(report, &verdict);
        return Ok(());
    }
    let unpassed = match collect::passing::look(app, live, &subject, &document).await? {
        Looked::Passes(_) => {
            report.verdict = Word::Permit;
            report.ground = Some("evidence");
            return Ok(());
        }
        Looked::Not(unpassed) => unpassed,
    };
    let collected = collect::evidence(app, live, &subject, &document, (None, unpassed.fetched)).await?;
    let verified = verify::evidence(app, live, &subject, &document, &collected).await?;
    evidence::describe(report, live, &subject, (&collected, &verified));
    report.requirements = requirement::each(policy, &subject, document.value(), &verified, app.clock.now());
    let verified = Evidence { unpassed: Some(unpassed.why), ..verified };
    match decide::judge(policy, &subject, document.value(), &verified, app.clock.now()) {
        Outcome::Decided(verdict) => {
            decided(report, &verdict);
            Ok(())
        }
        Outcome::Undecided(undecided) => Err(Refusal::Undecided(undecided)),
    }
}

fn may_ask(live: &Live, asked: &Image) -> Result<(), Refusal> {
    if let Governing::Unmatched(Unmatched::Deny) = live.policy().governing(&asked.repository) {
        return Err(Refusal::Denied(Box::new(decide::unmatched())));
    }
    let block = match &asked.reference {
        Reference::Digest(digest) => live.policy().block(digest),
        Reference::Tag(_) => None,
    };
    block.map_or(Ok(()), |block| Err(Refusal::Denied(Box::new(decide::block_denial(block)))))
}

fn governed(live: &Live, repository: &Repository) -> Option<Governed> {
    match live.policy().governing(repository) {
        Governing::Policy(policy, scope) => Some(Governed {
            name: policy.name.to_string(),
            scope: scope.to_string(),
            mode: match policy.mode {
                Mode::Enforce => "enforce",
                Mode::Warn => "warn",
            },
            location: policy.location.to_string(),
        }),
        Governing::Unmatched(_) => None,
    }
}

fn resolved(report: &mut Report, document: &Intact<Document>) {
    report.digest = Some(document.digest());
    report.media_type = Some(document.value().media_type().to_owned());
    if let Manifest::Index(index) = document.value().manifest() {
        let child = |child: &pullgate_policy::oci::Descriptor| Child {
            digest: child.digest,
            platform: child.platform.clone(),
        };
        report.children = index.manifests.iter().map(child).collect();
    }
}

fn decided(report: &mut Report, verdict: &Verdict) {
    match verdict {
        Verdict::Deny(denial) => denied(report, denial),
        Verdict::Permit(permit) => {
            report.verdict = Word::Permit;
            report.ground = Some(permit.ground().as_str());
            report.valid_until = Some(permit.valid_until());
            report.reasons = match permit.ground() {
                Ground::WarnOnly(denial) => denial.reasons().map(Reason::from).collect(),
                Ground::Exempt { owner, location } => vec![Reason {
                    code: "exempt".to_owned(),
                    text: format!("exempt; {owner} answers for it"),
                    location: Some(location.to_string()),
                }],
                Ground::Satisfied | Ground::Unchecked => Vec::new(),
            };
        }
    }
}

fn denied(report: &mut Report, denial: &Denial) {
    report.verdict = Word::Deny;
    report.reasons = denial.reasons().map(Reason::from).collect();
}

fn refused(report: &mut Report, refusal: &Refusal) {
    let code = refusal.code();
    let (verdict, text) = match refusal {
        Refusal::Denied(denial) => return denied(report, denial),
        Refusal::Request(RouteFault::RegistryUnknown) => {
            (Word::Deny, "the registry has no [upstream] table".to_owned())
        }
        Refusal::Missing(Missing::Blob | Missing::Manifest | Missing::Name) => {
            (Word::Undecided, "the registry has no such image".to_owned())
        }
        Refusal::Undecided(undecided) => (Word::Undecided, undecided.code().cause().to_owned()),
        Refusal::HeadTooLarge
        | Refusal::Malformed
        | Refusal::RangeUnsatisfiable(_)
        | Refusal::Request(_)
        | Refusal::TargetTooLong
        | Refusal::Unauthenticated => (Word::Undecided, code.to_owned()),
    };
    report.verdict = verdict;
    report.reasons = vec![Reason { code: code.to_owned(), text, location: None }];
}

impl From<&verdict::Reason> for Reason {
    fn from(reason: &verdict::Reason) -> Self {
        Self {
            code: reason.code.to_string(),
            text: reason.text.clone(),
            location: reason.location.as_ref().map(ToString::to_string),
        }
    }
}
