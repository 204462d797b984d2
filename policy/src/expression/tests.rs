use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::identity::{Identity, Name, SanKind};

mod dependencies;

fn principal() -> Principal {
    Principal::Identity(Identity {
        trust: Name::new("sigstore"),
        issuer: "https://token.actions.githubusercontent.com".to_owned(),
        kind: SanKind::Uri,
        san: "https://github.com/myorg/app/.github/workflows/ci.yml@refs/heads/main".to_owned(),
        held: None,
        claims: BTreeMap::from([
            ("build_trigger".to_owned(), "push".to_owned()),
            ("source_repository_visibility_at_signing".to_owned(), "private".to_owned()),
        ]),
    })
}

fn image() -> Image {
    Image {
        registry: "ghcr.io".to_owned(),
        repository: "myorg/app".to_owned(),
        digest: "sha256:00".to_owned(),
        media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
        artifact_type: String::new(),
    }
}

/// What an expression says of a predicate.
#[expect(clippy::needless_pass_by_value, reason = "each predicate is written where it is asked about")]
fn asked(text: &str, predicate: Value) -> Result<(), Code> {
    let (statement, principal, image) =
        (json!({ "predicateType": "x", "predicate": predicate }), principal(), image());
    let provenance = Provenance { commit: Some("c0ffee".to_owned()), ..Provenance::default() };
    Condition::compile(text).unwrap().holds(&About {
        statement: &statement,
        predicate: &statement["predicate"],
        provenance: Some(&provenance),
        principal: &principal,
        image: &image,
    })
}

fn fault(text: &str) -> (FaultKind, usize) {
    let fault = Condition::compile(text).unwrap_err();
    (fault.kind, fault.at)
}

#[test]
fn what_is_true_holds_and_what_is_false_does_not() {
    for text in [
        "predicate.result == 'passed'",
        "predicate.score > 5 && predicate.score + 1 == 8",
        "predicate.findings.all(f, f.severity != 'critical')",
        "identity.issuer == 'https://token.actions.githubusercontent.com' && identity.claims.build_trigger == 'push'",
        "identity.claims.source_repository_visibility_at_signing == 'private'",
        "identity.claims.source_repository_visibility == 'private'",
        "identity.claims['source_repository_visibility'] == 'private'",
        "identity.subject.startsWith('https://github.com/myorg/')",
        "image.registry == 'ghcr.io' && image['repository'] == 'myorg/app'",
        "provenance.commit == 'c0ffee' && provenance.level >= 1",
        "statement.predicateType == 'x'",
        "predicate.name.matches('^[a-z]+$') && size(predicate.findings) == 1",
        "has(predicate.score) && !has(predicate.nothing)",
    ] {
        let predicate =
            json!({ "result": "passed", "score": 7, "name": "abc", "findings": [{ "severity": "low" }] });
        assert_eq!(asked(text, predicate.clone()), Ok(()), "{text}");
        assert_eq!(asked(&format!("!({text})"), predicate), Err(Code::WhereFalse), "{text}");
    }
}

#[test]
fn a256_what_has_no_value_is_not_met_and_what_is_no_truth_is_none() {
    for (text, code) in [
        ("predicate.absent == 'x'", Code::WhereError),
        ("!(predicate.absent == 'x')", Code::WhereError),
        ("predicate.n.deeper == 1", Code::WhereError),
        ("predicate.n < 'x'", Code::WhereError),
        ("provenance.source == 'https://github.com/a/b'", Code::WhereError),
        ("has(predicate.absent.deeper)", Code::WhereError),
        ("predicate.n", Code::WhereNotBool),
        ("'true'", Code::WhereNotBool),
        ("null", Code::WhereNotBool),
        ("predicate.n == 2", Code::WhereFalse),
    ] {
        assert_eq!(asked(text, json!({ "n": 1 })), Err(code), "{text}");
    }
    // As the language says, `||` and `&&` absorb an error on one side.
    assert_eq!(asked("predicate.absent == 'x' || true", json!({})), Ok(()));
    assert_eq!(asked("predicate.absent == 'x' && false", json!({})), Err(Code::WhereFalse));
}

#[test]
fn a257_a551_an_expression_reaches_nothing_that_a_verdict_does_not_know() {
    for (text, kind, at) in [
        ("http.get('http://x') == ''", FaultKind::UnknownFunction, 5),
        ("env('HOME') == ''", FaultKind::UnknownFunction, 0),
        ("true || readFile('/etc/passwd') == ''", FaultKind::UnknownFunction, 8),
        ("now() > 0", FaultKind::UnknownFunction, 0),
        ("image.tag == 'v1'", FaultKind::UnknownName, 6),
        ("image['tag'] == 'v1'", FaultKind::UnknownName, 5),
        ("image[predicate.x] == 'v1'", FaultKind::UnknownName, 5),
        ("provenance.builders == 'x'", FaultKind::UnknownName, 11),
        ("identity.claims.source_repo == 'x'", FaultKind::UnknownName, 16),
        ("identity.email == 'x'", FaultKind::UnknownName, 9),
        ("predicat.x == 1", FaultKind::UnknownName, 0),
        ("predicate.x.all(y, z == 1)", FaultKind::UnknownName, 19),
    ] {
        let (found, place) = fault(text);
        assert_eq!(found, kind, "{text}");
        assert_eq!(place, at, "{text}");
    }
    for text in ["", "predicate.", "predicate.x ==", "1 +* 2", "'open", "a b"] {
        assert_eq!(fault(text).0, FaultKind::Syntax, "{text}");
    }
}

#[test]
fn a255_what_could_cost_too_much_does_not_compile() {
    let nested = |open: &str, count: usize, close: &str| {
        format!("{}1{} == 1", open.repeat(count), close.repeat(count))
    };
    for text in [
        format!("predicate.x == '{}'", "y".repeat(limits::WHERE_TEXT_BYTES)),
        nested("(", limits::WHERE_NESTING + 1, ")"),
        nested("[", 60, "]"),
        format!("{}true", "!".repeat(200)),
        format!("1{} == 2", " + 1".repeat(200)),
        format!("predicate{}", ".x".repeat(200)),
        "predicate.a.all(x, predicate.b.all(y, y == x))".to_owned(),
        "predicate.a.exists(x, x.map(y, y) == [])".to_owned(),
        "predicate.x.matches(predicate.pattern)".to_owned(),
        "predicate.x.matches('(((a{1000}){1000}){1000})')".to_owned(),
    ] {
        assert_eq!(fault(&text).0, FaultKind::Cost, "{}", text.chars().take(60).collect::<String>());
    }
    assert!(Condition::compile(&nested("(", limits::WHERE_NESTING - 2, ")")).is_ok());
    assert!(Condition::compile("predicate.a.all(x, x > 0) && predicate.b.all(x, x > 0)").is_ok());
}

#[test]
fn a255_a_statement_over_its_limits_is_not_looked_at() {
    let list = |items: usize| json!({ "list": vec![1; items] });
    assert_eq!(asked("predicate.list.all(x, x == 1)", list(limits::WHERE_ITEMS)), Ok(()));
    assert_eq!(
        asked("predicate.list.all(x, x == 1)", list(limits::WHERE_ITEMS + 1)),
        Err(Code::WhereTooLarge)
    );
    let long = |bytes: usize| json!({ "text": "x".repeat(bytes) });
    let named = "predicate.text != ''";
    assert_eq!(asked(named, long(limits::WHERE_BYTES / 2)), Ok(()));
    assert_eq!(asked(named, long(limits::WHERE_BYTES)), Err(Code::WhereTooLarge));
    // What is not named is neither copied nor counted.
    for other in ["predicate.other == 1 || true", "true"] {
        assert_eq!(asked(other, long(limits::WHERE_BYTES)), Ok(()), "{other}");
    }
}

#[test]
fn a255_what_is_looked_at_for_each_entry_of_a_list_has_a_smaller_limit() {
    let list = |items: usize| json!({ "list": vec![1; items], "text": "x" });
    for text in [
        "size(predicate.list.map(x, x)) > 0",
        "predicate.list.all(x, predicate.text == 'x')",
        "[1].all(x, statement.predicate.list != [x])",
    ] {
        assert_eq!(asked(text, list(limits::WHERE_AGAIN_ITEMS)), Ok(()), "{text}");
        assert_eq!(asked(text, list(limits::WHERE_AGAIN_ITEMS + 1)), Err(Code::WhereTooLarge), "{text}");
    }
    let text = |bytes: usize| json!({ "list": [1, 2], "text": "x".repeat(bytes) });
    let again = "predicate.list.all(x, predicate.text != '')";
    // Two whole numbers, their list, and the quotes.
    assert_eq!(asked(again, text(limits::WHERE_AGAIN_BYTES - 20)), Ok(()));
    assert_eq!(asked(again, text(limits::WHERE_AGAIN_BYTES - 19)), Err(Code::WhereTooLarge));
    assert_eq!(asked("predicate.list.all(x, x > 0)", text(limits::WHERE_AGAIN_BYTES)), Ok(()));
}

#[test]
fn a258_whole_numbers_are_exact() {
    assert_eq!(asked("predicate.n == 9007199254740993", json!({ "n": 9_007_199_254_740_993_i64 })), Ok(()));
    assert_eq!(
        asked("predicate.n == 9007199254740992", json!({ "n": 9_007_199_254_740_993_i64 })),
        Err(Code::WhereFalse)
    );
    assert_eq!(asked("predicate.n == 18446744073709551615u", json!({ "n": u64::MAX })), Ok(()));
    assert_eq!(asked("predicate.n == 0.5", json!({ "n": 0.5 })), Ok(()));
}

#[test]
fn a255_predicate_and_statement_have_their_limit_each() {
    let (small, large) = (json!({ "a": 1 }), json!({ "a": vec![1; limits::WHERE_ITEMS + 1] }));
    let (principal, image) = (principal(), image());
    let about = |statement, predicate| About {
        statement,
        predicate,
        provenance: None,
        principal: &principal,
        image: &image,
    };
    let condition = Condition::compile("predicate.a != statement.a || true").unwrap();
    assert_eq!(condition.holds(&about(&small, &small)), Ok(()));
    assert_eq!(condition.holds(&about(&large, &small)), Err(Code::WhereTooLarge));
    assert_eq!(condition.holds(&about(&small, &large)), Err(Code::WhereTooLarge));
}

#[test]
fn a_condition_is_its_text() {
    let condition = Condition::compile("predicate.a == 1").unwrap();
    assert_eq!(condition.as_str(), "predicate.a == 1");
    assert_eq!(condition, Condition::compile("predicate.a == 1").unwrap());
    assert_ne!(condition, Condition::compile("predicate.a == 2").unwrap());
}

#[test]
fn a204_a_reference_names_a_repository_whatever_tag_or_digest_stands_behind_it() {
    let named = |registry: &str, repository: &str, reference: &str| {
        let (registry, repository) = (registry.to_owned(), repository.to_owned());
        Image { registry, repository, ..image() }.is_named_by(reference)
    };
    for (reference, is) in [
        ("ghcr.io/myorg/app", true),
        ("ghcr.io/myorg/app:v1", true),
        ("ghcr.io/myorg/app@sha256:00", true),
        ("ghcr.io/myorg/app:v1@sha256:00", true),
        ("ghcr.io/myorg/other", false),
        ("quay.io/myorg/app", false),
        ("", false),
    ] {
        assert_eq!(named("ghcr.io", "myorg/app", reference), is, "{reference}");
    }
    // The colon of a port is no tag's.
    assert!(named("localhost:5000", "app", "localhost:5000/app"));
    assert!(named("localhost:5000", "app", "localhost:5000/app:v1"));
    assert!(!named("localhost", "app", "localhost:5000/app"));
    assert!(named("docker.io", "library/alpine", "alpine:3"));
}

#[test]
fn a255_a_text_of_4_kib_compiles_and_a_byte_more_does_not() {
    let of = |length: usize| format!("predicate.a == '{}'", "x".repeat(length - "predicate.a == ''".len()));
    assert!(Condition::compile(&of(limits::WHERE_TEXT_BYTES)).is_ok());
    assert_eq!(fault(&of(limits::WHERE_TEXT_BYTES + 1)), (FaultKind::Cost, limits::WHERE_TEXT_BYTES));
}

#[test]
fn a255_brackets_and_signs_are_counted_to_their_limit_and_not_in_quotes() {
    let open = |n: usize| format!("{}true{}", "(".repeat(n), ")".repeat(n));
    assert!(shape::of_text(&open(limits::WHERE_NESTING)).is_ok());
    let over = shape::of_text(&open(limits::WHERE_NESTING + 1)).unwrap_err();
    assert_eq!((over.kind, over.at), (FaultKind::Cost, limits::WHERE_NESTING));
    let signs = |n: usize| format!("{}true", "!".repeat(n));
    assert!(shape::of_text(&signs(limits::WHERE_NESTING)).is_ok());
    let over = shape::of_text(&signs(limits::WHERE_NESTING + 1)).unwrap_err();
    assert_eq!((over.kind, over.at), (FaultKind::Cost, limits::WHERE_NESTING));
    let many = "(".repeat(limits::WHERE_NESTING + 1);
    for quoted in [format!("'{many}'"), format!("'\\'{many}'"), format!("'\"{many}'"), format!("\"'{many}\"")]
    {
        assert!(shape::of_text(&quoted).is_ok(), "{quoted}");
    }
    for behind in [format!("'a'{many}"), format!("'\\\\'{many}")] {
        assert_eq!(shape::of_text(&behind).unwrap_err().kind, FaultKind::Cost, "{behind}");
    }
}

#[test]
fn a255_what_is_compiled_is_as_deep_as_its_limit_and_no_deeper() {
    let select = |n: usize| format!("predicate{}", ".a".repeat(n));
    assert!(Condition::compile(&select(limits::WHERE_NESTING)).is_ok());
    let deep = Condition::compile(&select(limits::WHERE_NESTING + 1)).unwrap_err();
    assert_eq!(deep.kind, FaultKind::Cost);
}

#[test]
fn a_fault_of_the_compiler_is_at_its_line_and_column() {
    assert_eq!(fault("predicate.a ==\n  == 1"), (FaultKind::Syntax, 17));
    assert_eq!(fault("true &&\n\n  && true"), (FaultKind::Syntax, 11));
}

#[test]
fn a551_a_name_that_a_comprehension_binds_has_what_fields_it_has() {
    for text in [
        "predicate.a.all(image, image.tag == 'x')",
        "predicate.claims.other == 'x'",
        "predicate.a['tag'] == 'x'",
    ] {
        assert!(Condition::compile(text).is_ok(), "{text}");
    }
    for (text, kind, at) in [
        ("image.tag == 'x'", FaultKind::UnknownName, 6),
        ("identity.claims.other == 'x'", FaultKind::UnknownName, 16),
        ("image['tag'] == 'x'", FaultKind::UnknownName, 5),
        ("_x_(1) == 1", FaultKind::UnknownFunction, 0),
    ] {
        assert_eq!(fault(text), (kind, at), "{text}");
    }
    let near = |text: &str| Condition::compile(text).unwrap_err().near;
    assert_eq!(near("image.media == 'x'"), ["media_type"]);
    assert_eq!(near("image.digests == 'x'"), ["digest"]);
    assert_eq!(near("image.zzz == 'x'").len(), 5);
}

#[test]
fn a255_values_are_counted_to_the_byte() {
    let text = |length: usize| json!("x".repeat(length - 2));
    assert!(!values::are_too_large(&[&text(limits::WHERE_BYTES)], &values::ONCE));
    assert!(values::are_too_large(&[&text(limits::WHERE_BYTES + 1)], &values::ONCE));
    let list = |entries: usize| json!(vec![0; entries]);
    assert!(!values::are_too_large(&[&list(limits::WHERE_ITEMS)], &values::ONCE));
    assert!(values::are_too_large(&[&list(limits::WHERE_ITEMS + 1)], &values::ONCE));
    let object = |keys: usize| Value::Object((0..keys).map(|n| (n.to_string(), Value::Null)).collect());
    assert!(!values::are_too_large(&[&object(limits::WHERE_ITEMS)], &values::ONCE));
    assert!(values::are_too_large(&[&object(limits::WHERE_ITEMS + 1)], &values::ONCE));
    // A key of so many bytes, 4 about it, and 8 for its value.
    let keyed = |length: usize| json!({ "k".repeat(length - 12): null });
    assert!(!values::are_too_large(&[&keyed(limits::WHERE_BYTES)], &values::ONCE));
    assert!(values::are_too_large(&[&keyed(limits::WHERE_BYTES + 1)], &values::ONCE));
}

#[test]
fn a621_a_search_in_each_round_of_a_comprehension_needs_a_literal() {
    for (text, at) in [
        ("predicate.a.all(x, x in predicate.b)", 21),
        ("predicate.a.exists(x, 'y' in x)", 26),
        ("predicate.a.filter(x, !(x in statement.subject)).size() == 0", 26),
        ("predicate.a.all(x, predicate.b.contains(x))", 31),
        ("predicate.a.all(x, size(predicate.b) > 3)", 19),
        ("predicate.a.map(x, predicate.b.matches('^a$')) == []", 31),
    ] {
        assert_eq!(fault(text), (FaultKind::Cost, at), "{text}");
    }
    let list = |entries: usize| format!("predicate.a.all(x, x in [{}])", vec!["1"; entries].join(","));
    assert_eq!(fault(&list(limits::WHERE_LIST + 1)).0, FaultKind::Cost);
    for text in [
        list(limits::WHERE_LIST).as_str(),
        "'a' in predicate.b && predicate.a.all(x, x != 'c')",
        "predicate.a.all(x, x.name in ['a', 'b'] && size(x.name) < 9 && x.name.contains('a'))",
        "predicate.a.all(x, image.repository.contains(x))",
        "predicate.a.all(predicate, predicate.contains('x'))",
    ] {
        assert!(Condition::compile(text).is_ok(), "{text}");
    }
    assert_eq!(asked("predicate.a.all(x, x in ['a', 'b'])", json!({ "a": ["a", "b"] })), Ok(()));
    assert_eq!(asked("predicate.a.all(x, x in ['a', 'b'])", json!({ "a": ["c"] })), Err(Code::WhereFalse));
}

#[test]
fn a621_a_claim_that_no_certificate_has_is_refused_in_every_form() {
    for text in [
        "identity.claims['source_repo'] == 'x'",
        "identity['claims']['source_repo'] == 'x'",
        "identity['claims'].source_repo == 'x'",
        "'source_repo' in identity.claims",
        "has(identity.claims.source_repo)",
        "identity.claims[predicate.x] == 'x'",
    ] {
        assert_eq!(fault(text).0, FaultKind::UnknownName, "{text}");
    }
    assert!(Condition::compile("identity.claims['x'] == 'y'").unwrap_err().near.contains(&"build_trigger"));
    for text in [
        "identity.claims['build_trigger'] == 'push'",
        "identity['claims']['build_trigger'] == 'push'",
        "'build_trigger' in identity.claims && identity['claims'].build_trigger == 'push'",
        "has(identity.claims.build_trigger)",
    ] {
        assert_eq!(asked(text, json!({})), Ok(()), "{text}");
    }
    assert_eq!(asked("predicate.claims['x'] == 'y'", json!({ "claims": { "x": "y" } })), Ok(()));
}

#[test]
fn a621_a_likely_mistake_is_remarked_and_an_honest_expression_is_not() {
    let remarks = |text: &str| Condition::compile(text).unwrap().remarks().to_vec();
    let unanchored = |at| vec![Remark { kind: RemarkKind::Unanchored, at }];
    assert_eq!(remarks("identity.subject.matches('github.com/myorg')"), unanchored(17));
    assert_eq!(remarks("matches(identity.subject, '^https://github.com/myorg')"), unanchored(0));
    assert_eq!(remarks("identity['claims'].token_subject.matches('repo')"), unanchored(33));
    for text in ["true", "1 == 1", "[1, 2].all(x, x > 0)", "'a'.matches('a')"] {
        assert_eq!(remarks(text), [Remark { kind: RemarkKind::Constant, at: 0 }], "{text}");
    }
    for text in [
        "identity.subject.matches('^https://github.com/myorg/.+$')",
        "identity.subject.matches('^https://github.com/myorg/.*')",
        "predicate.name.matches('release')",
        "predicate.passed == true",
        "predicate.a.all(x, x == 1)",
    ] {
        assert_eq!(remarks(text), [], "{text}");
    }
}
