//! What went into a build, as an expression is told of it.

use serde_json::{Value, json};

use super::{image, principal};
use crate::code::Code;
use crate::expression::{About, Condition};
use crate::identity::{KeyId, Principal};
use crate::provenance::{Provenance, SLSA_V1};

#[test]
fn dependencies_are_told_whole_or_not_at_all() {
    let told = |text: &str, listed: Value| {
        let predicate = json!({ "buildDefinition": { "resolvedDependencies": listed } });
        let statement = json!({ "predicateType": SLSA_V1, "predicate": predicate });
        let principal = principal();
        let provenance =
            Provenance::read(SLSA_V1, &predicate, &Principal::Key(KeyId::of_spki(b"k"))).unwrap();
        Condition::compile(text).unwrap().holds(&About {
            statement: &statement,
            predicate: &predicate,
            provenance: provenance.as_ref(),
            principal: &principal,
            image: &image(),
        })
    };
    let base =
        json!({ "uri": "pkg:docker/alpine@3", "digest": { "sha256": "00" }, "annotations": { "x": 1 } });
    let of_alpine = "provenance.dependencies.exists(d, d.uri.startsWith('pkg:docker/alpine@') && d.digest.sha256 == '00')";
    assert_eq!(told(of_alpine, json!([{ "uri": "git+https://x" }, base])), Ok(()));
    assert_eq!(told(of_alpine, json!([])), Err(Code::WhereFalse));
    let none_evil = "!provenance.dependencies.exists(d, d.uri == 'evil')";
    assert_eq!(told(none_evil, json!([base])), Ok(()));
    assert_eq!(told(none_evil, json!([base, { "uri": "evil" }])), Err(Code::WhereFalse));
    // What would hide one of them hides all: the expression has no value.
    for listed in [
        json!([base, { "uri": 1 }]),
        json!([base, "evil"]),
        json!([base, { "digest": ["00"] }]),
        json!({ "uri": "x" }),
        json!(vec![base.clone(); crate::limits::WHERE_AGAIN_ITEMS + 1]),
    ] {
        assert_eq!(told(none_evil, listed), Err(Code::WhereError));
    }
    assert_eq!(told(none_evil, json!(vec![json!({ "uri": "x" }); crate::limits::WHERE_AGAIN_ITEMS])), Ok(()));
}
