//! The stages of a pull, for one image, with an ear at each. The verdict is `decide`'s alone.

use std::sync::Arc;

use pullgate_policy::code::Code;
use pullgate_policy::content::Intact;
use pullgate_policy::decide::{self, Outcome};
use pullgate_policy::evidence::Evidence;
use pullgate_policy::oci::{Document, Image, Manifest, Reference, Repository};
use pullgate_policy::policy::{Governing, Mode};
use pullgate_policy::verdict::{self, Denial, Ground, Verdict};
use pullgate_verify::Rest;

use super::report::{Child, Governed, Reason, Report, Word};
use super::{evidence, requirement};
use crate::accept::Accept;
use crate::live::Live;
use crate::pull::handles::Handles;
use crate::pull::order::{self, At, Found, Open, Standing, Walk};
use crate::pull::{Pull, collect, resolve, verify};
use crate::refusal::{Missing, Refusal};
use crate::route::{self, Registries as _, RouteFault};

/// Judges one image.
pub(in crate::cli) async fn image(app: &Arc<Handles>, asked: &Image) -> Report {
    let live = app.live();
    let asked = Image { repository: canonical(&live, &asked.repository), reference: asked.reference.clone() };
    let mut report = Report::about(asked.to_string());
    if let Err(refusal) = stages(app, &live, &asked, &mut report).await {
        refused(&mut report, &refusal);
        report.refused = live.upstream(&asked.repository).map(|one| one.refused()).unwrap_or_default();
    }
    report
}

/// The repository under its registry's own name, where an alias was written.
pub(in crate::cli) fn canonical(live: &Live, repository: &Repository) -> Repository {
    live.find(repository.registry().as_str())
        .and_then(|registry| Repository::new(registry, repository.path()).ok())
        .unwrap_or_else(|| repository.clone())
}

/// The order is that of a pull ([`order`]), with nothing that is remembered.
async fn stages(
    app: &Arc<Handles>,
    live: &Arc<Live>,
    asked: &Image,
    report: &mut Report,
) -> Result<(), Refusal> {
    let repository = &asked.repository;
    if repository.path() == route::CANARY {
        return Err(Refusal::Request(RouteFault::Canary));
    }
    report.policy = governed(live, repository);
    live.upstream(repository).ok_or(Refusal::Request(RouteFault::RegistryUnknown))?;
    let named = match &asked.reference {
        Reference::Digest(digest) => Some(digest),
        Reference::Tag(_) => None,
    };
    let leave = order::leave(app, live, repository, named).await?;
    let pull = Pull {
        repository: repository.clone(),
        reference: asked.reference.clone(),
        accept: Accept::default(),
    };
    let document = resolve::manifest(app, live, &leave, &pull).await?.document;
    resolved(report, &document);
    let open = match order::standing((app, live), Walk::Afresh, &leave, At::Here(&document)).await? {
        Standing::Open(open) => open,
        Standing::Found(Found::Ruled(permit) | Found::Remembered(permit)) => {
            decided(report, &Verdict::Permit(*permit));
            return Ok(());
        }
        Standing::Found(Found::Granted(permitted)) => {
            decided(report, &Verdict::Permit(permitted.permit().clone()));
            return Ok(());
        }
        Standing::Found(Found::ServableEvidence(_)) => {
            report.verdict = Word::Permit;
            report.ground = Some("evidence");
            return Ok(());
        }
        Standing::Denied(denial) => return Err(Refusal::Denied(denial)),
        Standing::Undecided(undecided, _) => return Err(Refusal::Undecided(undecided)),
        Standing::NotInMemory => return Err(Refusal::undecided(Code::Internal)),
    };
    by_evidence(app, live, &open, report).await
}

async fn by_evidence(
    app: &Arc<Handles>,
    live: &Live,
    open: &Open,
    report: &mut Report,
) -> Result<(), Refusal> {
    let (subject, document, policy) = (open.subject(), open.document(), live.policy());
    let collected = collect::evidence(app, live, open, None).await?;
    let about = (&collected, Rest::default());
    let (verified, rest) = verify::about(app, live, subject, Some(document), about).await?;
    let outcome = decide::judge(policy, subject, document.value(), &verified, app.clock.now());
    let (collected, verified) = if verify::is_not_enough(policy, &subject.repository, &outcome) {
        verify::further(app, live, open, (collected, verified, rest)).await?
    } else {
        (collected, verified)
    };
    evidence::describe(report, live, subject, (&collected, &verified));
    report.requirements = requirement::each(policy, subject, document.value(), &verified, app.clock.now());
    let verified = Evidence { unpassed: open.unpassed(), ..verified };
    match decide::judge(policy, subject, document.value(), &verified, app.clock.now()) {
        Outcome::Decided(verdict) => {
            decided(report, &verdict);
            Ok(())
        }
        Outcome::Undecided(undecided) => Err(Refusal::Undecided(undecided)),
    }
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
                Ground::EachChild | Ground::Satisfied | Ground::Unchecked => Vec::new(),
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
        Refusal::Request(RouteFault::Canary) => (Word::Deny, route::CANARY_REFUSED.to_owned()),
        Refusal::Request(RouteFault::RegistryUnknown) => {
            (Word::Deny, "the registry has no [upstream] table".to_owned())
        }
        Refusal::Missing(Missing::Blob | Missing::Manifest | Missing::Name) => {
            (Word::Undecided, "the registry has no such image".to_owned())
        }
        Refusal::NotShown => (Word::Undecided, Code::UpstreamNotShown.cause().to_owned()),
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
