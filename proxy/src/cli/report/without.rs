//! Verdicts without an authority: manifests are judged again, by the present policy without it.

use std::sync::Arc;

use pullgate_config::Config;
use pullgate_policy::identity::Name;
use pullgate_policy::policy::Revision;
use pullgate_policy::verdict::Ground;

use crate::app::App;
use crate::cli::{complain, progress};
use crate::clock::Clock;
use crate::live::Live;
use crate::pull::replay::{self, Content, Replayed};
use crate::report::{Rests, Without};
use crate::server;

/// Judges what rests on the authority from what the gate has kept; where that does not say it, the log's word stays.
pub(super) async fn judge(config: Config, name: &str, rests: &mut [Rests]) {
    let mut policies = config.policy.clone();
    if policies.set.authorities.remove(&Name::new(name)).is_none() || rests.is_empty() {
        return;
    }
    // Another policy: nothing that was said under the one in force is said of it.
    policies.set.revisions.policy = Revision::of([b"without".as_slice(), name.as_bytes()]);
    let (app, _folder) = match server::beside(config, None, Clock::system()).await {
        Ok(made) => made,
        Err(error) => {
            complain(&format!("what the gate has kept cannot be read ({error}): this is by the log alone\n"));
            return;
        }
    };
    let live = Arc::new(app.apart(&app.live().judging_by(policies)));
    progress::during("what was pulled is judged again", async {
        for one in rests {
            if let Some(without) = said(&app, &live, one).await {
                one.without = without;
            }
        }
    })
    .await;
}

async fn said(app: &App, live: &Arc<Live>, one: &Rests) -> Option<Without> {
    let content = Content {
        repository: one.image.repository.parse().ok()?,
        digest: one.image.digest.parse().ok()?,
        root: one.image.root.parse().ok(),
    };
    match replay::judge(&app.pull, live, &content).await {
        Replayed::Deny(_) => Some(Without::Refused),
        Replayed::Permit(permit) => Some(match permit.ground() {
            Ground::WarnOnly(_) => Without::Refused,
            Ground::EachChild | Ground::Exempt { .. } | Ground::Satisfied | Ground::Unchecked => {
                Without::Served
            }
        }),
        Replayed::Unknown(_) => None,
    }
}

/// Whether nobody else carries it, as far as that is known.
pub(super) fn rests_alone(without: Without) -> bool {
    match without {
        Without::Alone | Without::Refused | Without::Unknown => true,
        Without::Served => false,
    }
}
