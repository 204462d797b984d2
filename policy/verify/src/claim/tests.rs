use serde_json::json;

use super::*;

fn payload() -> Value {
    json!({
        "critical": {
            "identity": { "docker-reference": "registry.example/app" },
            "image": { "docker-manifest-digest": Digest::of(b"x").to_string() },
            "type": SIMPLE_TYPE,
        },
        "optional": null,
    })
}

fn code(value: &Value) -> Option<Code> {
    Payload::read(value.to_string().as_bytes()).err().map(|fault| fault.code)
}

#[test]
fn a_payload_is_read_with_and_without_optional() {
    assert_eq!(code(&payload()), None);
    let mut bare = payload();
    bare.as_object_mut().unwrap().remove("optional");
    assert_eq!(code(&bare), None);
    bare["optional"] = json!({ "creator": "me", "timestamp": 1, "deep": {} });
    let read = Payload::read(bare.to_string().as_bytes()).unwrap();
    assert_eq!(read.annotations, BTreeMap::from([("creator".to_owned(), "me".to_owned())]));
}

/// As the first releases of cosign wrote it.
fn oldest() -> Value {
    json!({
        "Critical": {
            "Identity": { "docker-reference": "" },
            "Image": { "Docker-manifest-digest": Digest::of(b"x").to_string() },
            "Type": SIMPLE_TYPE,
        },
        "Optional": { "env": "prod" },
    })
}

#[test]
fn a_payload_of_the_oldest_signers_is_read_in_its_own_words_alone() {
    let read = Payload::read(oldest().to_string().as_bytes()).unwrap();
    assert_eq!(read.digest, Digest::of(b"x"));
    assert_eq!(read.annotations, BTreeMap::from([("env".to_owned(), "prod".to_owned())]));
    let mut bare = oldest();
    bare["Optional"] = json!(null);
    assert_eq!(code(&bare), None);
    for (path, old, new) in [
        ("", "Critical", "critical"),
        ("", "Optional", "optional"),
        ("/Critical", "Identity", "identity"),
        ("/Critical", "Image", "image"),
        ("/Critical", "Type", "type"),
        ("/Critical/Image", "Docker-manifest-digest", "docker-manifest-digest"),
        ("/Critical/Identity", "docker-reference", "Docker-reference"),
    ] {
        let mut mixed = oldest();
        let part = mixed.pointer_mut(path).unwrap().as_object_mut().unwrap();
        let value = part.remove(old).unwrap();
        part.insert(new.to_owned(), value);
        assert_eq!(code(&mixed), Some(Code::PayloadInvalid), "{path} {new}");
    }
    let mut both = oldest();
    both["critical"] = payload()["critical"].clone();
    assert_eq!(code(&both), Some(Code::PayloadInvalid));
}

#[test]
fn a203_what_is_missing_wrong_or_too_much_in_critical_is_refused() {
    let changes: [(&str, Value); 9] = [
        ("/critical", json!({})),
        ("/critical/type", json!("atomic container signature")),
        ("/critical/type", json!("Cosign container image signature")),
        ("/critical/image", json!({ "docker-manifest-digest": "sha256:00" })),
        ("/critical/image", json!({ "Docker-manifest-digest": Digest::of(b"x").to_string() })),
        ("/critical/image", json!({ "docker-manifest-digest": Digest::of(b"x").to_string(), "more": "" })),
        ("/critical/identity", json!({ "docker-reference": 1 })),
        ("/critical/identity", json!(null)),
        ("/optional", json!("text")),
    ];
    for (path, value) in changes {
        let mut changed = payload();
        *changed.pointer_mut(path).unwrap() = value.clone();
        assert_eq!(code(&changed), Some(Code::PayloadInvalid), "{path} {value}");
    }
    for extra in ["/critical", ""] {
        let mut changed = payload();
        changed.pointer_mut(extra).unwrap()["more"] = json!("");
        assert_eq!(code(&changed), Some(Code::PayloadInvalid), "{extra}");
    }
    let twice = payload().to_string().replacen('{', "{\"critical\":{},", 1);
    assert_eq!(Payload::read(twice.as_bytes()).unwrap_err().code, Code::PayloadInvalid);
}

#[test]
fn a126_free_form_keys_may_differ_by_case_and_those_that_are_read_may_not() {
    let statement = |predicate: &str, digest: &str| {
        let text = format!(
            r#"{{"_type":"{}","predicateType":"p","predicate":{predicate},"subject":[{{"digest":{digest}}}]}}"#,
            STATEMENT_TYPES[0]
        );
        Statement::read(text.as_bytes(), usize::MAX).err().map(|fault| fault.code)
    };
    let digest = r#"{"sha256":"00"}"#;
    let twice = Some(Code::StatementInvalid);
    assert_eq!(statement(r#"{"args":{"HTTP_PROXY":"a","http_proxy":"b"}}"#, digest), None);
    assert_eq!(statement(r#"{"args":{"http_proxy":"a","http_proxy":"b"}}"#, digest), twice, "equal");
    assert_eq!(
        statement(r#"{"builder":{"id":"a"},"Builder":{"id":"b"}}"#, digest),
        twice,
        "a name that is read"
    );
    assert_eq!(statement(r#"{"x":[{"URI":"a","uri":"b"}]}"#, digest), twice, "at any depth");
    assert_eq!(statement("{}", r#"{"sha256":"00","SHA256":"01"}"#), twice);
    let payload = |optional: &str| {
        let text = payload().to_string().replacen("\"optional\":null", optional, 1);
        Payload::read(text.as_bytes()).map(|read| read.annotations.len()).map_err(|fault| fault.code)
    };
    assert_eq!(payload(r#""optional":{"Team":"a","team":"b"}"#), Ok(2));
    assert_eq!(payload(r#""optional":{"team":"a","team":"b"}"#), Err(Code::PayloadInvalid));
    assert_eq!(payload(r#""optional":null,"Optional":null"#), Err(Code::PayloadInvalid));
}
