//! `signedIdentity`: what the signed payload must name.

use super::{invalid, same_repository, unknown};
use crate::import::fault::Fault;
use crate::import::tree::Node;

/// What the payload must name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::import) enum Identified {
    /// The repository of the image.
    Repository,
    /// The one that the scope names.
    OwnRepository,
    /// Repository and tag.
    WithTag,
    /// Something that no requirement asks for.
    Otherwise(&'static str),
}

pub(super) fn identity(node: &Node, scope: Option<&str>) -> Result<Identified, Fault> {
    let mut fields = node.fields()?;
    let kind = fields.text("type")?.ok_or_else(|| invalid(&node.place, "`signedIdentity` has no `type`"))?;
    let mut needed = |key: &str| {
        let text = fields.text(key)?;
        text.ok_or_else(|| invalid(&node.place, &format!("`{kind}` needs `{key}`")))
    };
    let identified = match kind {
        "matchRepoDigestOrExact" => Identified::WithTag,
        "matchRepository" => Identified::Repository,
        "matchExact" => Identified::Otherwise("the payload must name the tag that was asked for"),
        "exactReference" => {
            needed("dockerReference")?;
            Identified::Otherwise("the payload must name one tag, whichever is asked for")
        }
        "exactRepository" => exact(needed("dockerRepository")?, scope),
        "remapIdentity" => {
            needed("prefix")?;
            needed("signedPrefix")?;
            Identified::Otherwise("the payload must name a repository under another prefix")
        }
        _ => return Err(invalid(&node.place, "the type of `signedIdentity` is unknown")),
    };
    match fields.first_left() {
        Some((name, place)) => Err(unknown(name, place)),
        None => Ok(identified),
    }
}

/// A repository that is named, where it is the scope's own.
pub(in crate::import) fn exact(repository: &str, scope: Option<&str>) -> Identified {
    match scope.is_some_and(|scope| same_repository(scope, repository)) {
        true => Identified::OwnRepository,
        false => Identified::Otherwise("the payload must name another repository"),
    }
}
