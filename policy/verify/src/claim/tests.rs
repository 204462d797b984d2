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

#[test]
fn a126_a_predicate_that_is_not_kept_is_read_by_the_same_rule() {
    let read = |predicate: &str, memory: usize| {
        let text = format!(
            r#"{{"_type":"{}","predicateType":"p","subject":[{{"digest":{{"sha256":"00"}}}}],"predicate":{predicate}}}"#,
            STATEMENT_TYPES[0]
        );
        Statement::read(text.as_bytes(), memory)
            .map(|statement| statement.predicate)
            .map_err(|fault| fault.code)
    };
    let proxies = r#"{"args":{"HTTP_PROXY":"a","http_proxy":"b"}}"#;
    assert_eq!((read(proxies, usize::MAX), read(proxies, 0)), (Ok(Predicate::Kept), Ok(Predicate::Left)));
    for twice in [r#"{"args":{"http_proxy":1,"http_proxy":2}}"#, r#"{"builder":{},"Builder":{}}"#] {
        for memory in [0, usize::MAX] {
            assert_eq!(read(twice, memory), Err(Code::StatementInvalid), "{twice} {memory}");
        }
    }
}

#[test]
fn a215_a_predicate_that_is_not_kept_is_still_told_from_one_that_is_absent() {
    for (predicate, left) in [
        (r#","predicate":{}"#, None),
        (r#","predicate":null"#, None),
        ("", None),
        (r#","predicate":"x""#, Some(Value::Bool(false))),
        (r#","predicate":[]"#, Some(Value::Bool(false))),
    ] {
        let text = format!(
            r#"{{"_type":"{}","predicateType":"p","subject":[{{"digest":{{"sha256":"00"}}}}]{predicate}}}"#,
            STATEMENT_TYPES[0]
        );
        let statement = Statement::read(text.as_bytes(), 0).unwrap();
        assert_eq!(statement.whole.get("predicate"), left.as_ref(), "{predicate}");
    }
}

#[test]
fn a210_a211_hex_of_a_digest_has_either_case_and_a_field_either_name_never_both() {
    let about = |statement: &str| {
        let manifest = SharedArtifact::of(bytes::Bytes::from_static(b"abc"));
        let statement = Statement::read(statement.as_bytes(), usize::MAX).map_err(|fault| fault.code)?;
        Ok::<_, Code>(statement.subject_annotations(&manifest).is_some())
    };
    // SHA-256 of "abc" (FIPS 180-2, B.1).
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let of = |names: &str, digest: &str| {
        about(&format!(r#"{{{names},"subject":[{{"digest":{{"sha256":"{digest}"}}}}]}}"#))
    };
    let kind = STATEMENT_TYPES[0];
    let usual = format!(r#""_type":"{kind}","predicateType":"p""#);
    assert_eq!(of(&usual, digest), Ok(true));
    assert_eq!(of(&usual, &digest.to_uppercase()), Ok(true));
    assert_eq!(of(&usual, &digest.replacen('b', "c", 1).to_uppercase()), Ok(false));
    assert_eq!(of(&usual, digest.get(..63).unwrap()), Ok(false));
    assert_eq!(of(&format!(r#""type":"{kind}","predicate_type":"p""#), digest), Ok(true));
    for twice in [
        format!(r#"{usual},"type":"{kind}""#),
        format!(r#"{usual},"predicate_type":"q""#),
        format!(r#"{usual},"Predicate_Type":"q","predicate_type":"q""#),
    ] {
        assert_eq!(of(&twice, digest), Err(Code::StatementInvalid), "{twice}");
    }
}
