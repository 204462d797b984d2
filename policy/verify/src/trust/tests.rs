use super::*;

const NOW: Timestamp = Timestamp::constant(1_795_521_600, 0);

#[test]
fn the_built_in_tables_load_and_are_what_their_names_say() {
    let sigstore = TrustTable::sigstore().unwrap().describe();
    assert!(sigstore.authorities > 0 && sigstore.logs > 0 && sigstore.certificate_logs > 0);
    let github = TrustTable::github().unwrap().describe();
    assert!(github.authorities > 0 && github.timestamp_authorities > 0);
    assert_eq!((github.logs, github.certificate_logs), (0, 0));
}

#[test]
fn a347_another_document_is_no_trust_table() {
    let name = || Name::new("corp");
    for bytes in [&b"{}"[..], br#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}"#] {
        assert_eq!(TrustTable::from_json(name(), bytes, Sct::Required).unwrap_err(), TrustFault::MediaType);
    }
    let twice = TrustTable::from_json(name(), br#"{"tlogs":[],"tlogs":[]}"#, Sct::Required).unwrap_err();
    assert_eq!(twice, TrustFault::Json(JsonFault::Ambiguous));
    let unusable = |value: &Value| {
        let read = TrustTable::from_json(name(), value.to_string().as_bytes(), Sct::Required);
        matches!(read, Err(TrustFault::Unusable(_)))
    };
    let good: Value = serde_json::from_slice(SIGSTORE).unwrap();
    assert!(!unusable(&good));
    let chain = "/certificateAuthorities/1/certChain/certificates";
    assert!(good.pointer(chain).unwrap().as_array().unwrap().len() > 1);
    for kept in [0, 1] {
        let mut short = good.clone();
        short.pointer_mut(chain).unwrap().as_array_mut().unwrap().truncate(kept);
        let table = TrustTable::from_json(name(), short.to_string().as_bytes(), Sct::Required).unwrap();
        let [told] = &table.unusable(NOW)[..] else { panic!("a chain of {kept}, without its root") };
        assert_eq!(told.kind, TrustedKind::CertificateAuthority);
        short["certificateAuthorities"].as_array_mut().unwrap().remove(0);
        assert!(unusable(&short), "nothing but a chain of {kept}, without its root");
    }
}

#[test]
fn a628_a_key_that_cannot_be_used_spoils_itself_and_is_told() {
    let good: Value = serde_json::from_slice(SIGSTORE).unwrap();
    let load = |root: &Value| {
        let bytes = root.to_string();
        TrustTable::from_json(Name::new("corp"), bytes.as_bytes(), Sct::Required).unwrap()
    };
    let whole = load(&good);
    assert_eq!(whole.unusable(NOW), []);
    assert_eq!(TrustTable::github().unwrap().unusable(NOW), []);
    for (list, kind) in [("tlogs", TrustedKind::Log), ("ctlogs", TrustedKind::CertificateLog)] {
        let at = format!("/{list}/0/publicKey");
        let changes: [fn(&mut Value); 4] = [
            |key| key["rawBytes"] = "AAAA".into(),
            |key| drop(key.as_object_mut().unwrap().remove("validFor")),
            |key| drop(key["validFor"].as_object_mut().unwrap().remove("start")),
            |key| key["validFor"] = serde_json::json!({}),
        ];
        for (n, change) in changes.into_iter().enumerate() {
            let mut root = good.clone();
            change(root.pointer_mut(&at).unwrap());
            let table = load(&root);
            let told = table.unusable(NOW);
            let [told] = told.as_slice() else { panic!("{told:?}") };
            assert_eq!((told.kind, told.name.as_str()), (kind, good[list][0]["baseUrl"].as_str().unwrap()));
            assert_eq!(told.why.contains("validFor.start"), n > 0, "{}", told.why);
            assert_eq!(table.contents().len(), whole.contents().len() - 1);
        }
    }
}

#[test]
fn an_address_that_is_left_out_is_empty() {
    let mut root: Value = serde_json::from_slice(SIGSTORE).unwrap();
    for (list, key) in [
        ("certificateAuthorities", "uri"),
        ("tlogs", "baseUrl"),
        ("ctlogs", "baseUrl"),
        ("timestampAuthorities", "uri"),
    ] {
        for one in root[list].as_array_mut().unwrap() {
            assert!(one.as_object_mut().unwrap().remove(key).is_some(), "{list}");
        }
    }
    let read = TrustTable::from_json(Name::new("corp"), root.to_string().as_bytes(), Sct::Required);
    let table = read.unwrap();
    assert!(table.contents().iter().all(|one| one.name.is_empty()));
    assert_eq!(table.describe(), TrustTable::sigstore().unwrap().describe());
}

#[test]
fn what_is_null_is_not_there() {
    let mut root: Value = serde_json::from_slice(SIGSTORE).unwrap();
    root["ctlogs"] = Value::Null;
    root["certificateAuthorities"][1]["validFor"]["end"] = Value::Null;
    root["certificateAuthorities"][1]["subject"] = Value::Null;
    let load =
        |root: &Value| TrustTable::from_json(Name::new("corp"), root.to_string().as_bytes(), Sct::Required);
    let whole = TrustTable::sigstore().unwrap().describe();
    assert_eq!(load(&root).unwrap().describe(), TrustSummary { certificate_logs: 0, ..whole });
    root["tlogs"][0]["publicKey"] = Value::Null;
    assert_eq!(load(&root).unwrap().describe().logs, whole.logs - 1);
}

#[test]
fn a_set_gives_the_table_of_a_name_and_of_two_the_first() {
    let table = |name: &str, bytes: &[u8]| TrustTable::from_json(Name::new(name), bytes, Sct::None).unwrap();
    let set = TrustSet::new(vec![table("b", SIGSTORE), table("a", GITHUB), table("b", GITHUB)]);
    let logs = |set: &TrustSet, name: &str| set.get(&Name::new(name)).map(|table| table.describe().logs);
    let of_sigstore = TrustTable::sigstore().unwrap().describe().logs;
    assert_eq!((logs(&set, "a"), logs(&set, "b"), logs(&set, "c")), (Some(0), Some(of_sigstore), None));
    let replaced = set.with(table("b", GITHUB)).with(table("c", SIGSTORE));
    assert_eq!(
        (logs(&replaced, "a"), logs(&replaced, "b"), logs(&replaced, "c")),
        (Some(0), Some(0), Some(of_sigstore))
    );
}

#[test]
fn a_table_keeps_its_name_its_demand_and_the_digest_of_its_bytes() {
    let table = TrustTable::from_json(Name::new("corp"), GITHUB, Sct::Required).unwrap();
    assert_eq!((table.name(), table.sct()), (&Name::new("corp"), Sct::Required));
    assert_eq!(table.digest(), TrustTable::github().unwrap().digest());
    assert_ne!(table.digest(), TrustTable::sigstore().unwrap().digest());
    assert_eq!(TrustTable::sigstore().unwrap().sct(), Sct::Required);
    assert_eq!(TrustTable::github().unwrap().sct(), Sct::None);
}

#[test]
fn the_revision_follows_bytes_names_and_sct_but_not_the_order() {
    let table = |name: &str, bytes: &[u8], sct| TrustTable::from_json(Name::new(name), bytes, sct).unwrap();
    let of = |tables: Vec<TrustTable>| TrustSet::new(tables).revision();
    let one = of(vec![table("a", SIGSTORE, Sct::Required), table("b", GITHUB, Sct::None)]);
    assert_eq!(one, of(vec![table("b", GITHUB, Sct::None), table("a", SIGSTORE, Sct::Required)]));
    assert_ne!(one, of(vec![table("a", SIGSTORE, Sct::None), table("b", GITHUB, Sct::None)]));
    assert_ne!(one, of(vec![table("b", SIGSTORE, Sct::Required), table("a", GITHUB, Sct::None)]));
    assert_ne!(one, of(vec![table("a", SIGSTORE, Sct::Required)]));
    let replaced = TrustSet::new(vec![table("a", SIGSTORE, Sct::Required), table("b", SIGSTORE, Sct::None)]);
    assert_eq!(one, replaced.with(table("b", GITHUB, Sct::None)).revision());
    let spaced = [SIGSTORE, b"\n"].concat();
    assert_ne!(one, of(vec![table("a", &spaced, Sct::Required), table("b", GITHUB, Sct::None)]));
}

#[test]
fn a342_a_table_that_becomes_stale_makes_another_revision() {
    let at = |second| Timestamp::from_second(second).unwrap();
    let table = |until| TrustTable::github().unwrap().stale_from(until);
    let set = |until| TrustSet::new(vec![table(until)]);
    assert!(!table(Some(at(10))).is_stale(at(9)) && table(Some(at(10))).is_stale(at(10)));
    assert!(!table(None).is_stale(Timestamp::MAX));
    assert_eq!(set(None).revision(), set(Some(at(10))).revision_at(at(9)));
    assert_ne!(set(None).revision(), set(Some(at(10))).revision_at(at(10)));
    assert_eq!(SNAPSHOTS_EXPIRED.to_string(), "2026-08-28T19:25:56Z");
}

#[test]
fn a628_a_window_that_ends_before_it_begins_spoils_its_part_alone() {
    let good: Value = serde_json::from_slice(SIGSTORE).unwrap();
    for (list, window) in [
        ("tlogs", "/publicKey/validFor"),
        ("ctlogs", "/publicKey/validFor"),
        ("certificateAuthorities", "/validFor"),
        ("timestampAuthorities", "/validFor"),
    ] {
        let mut root = good.clone();
        *root.pointer_mut(&format!("/{list}/0{window}")).unwrap() =
            serde_json::json!({ "start": "2026-01-01T00:00:00Z", "end": "2025-01-01T00:00:00Z" });
        let table =
            TrustTable::from_json(Name::new("corp"), root.to_string().as_bytes(), Sct::Required).unwrap();
        let told = table.unusable(NOW);
        assert!(told.iter().any(|one| one.why.contains("before it begins")), "{list}: {told:?}");
    }
}

#[test]
fn a622_an_authority_that_has_run_out_in_an_open_window_is_told() {
    let told = |table: &TrustTable, now: &str| -> Vec<(TrustedKind, String)> {
        let told = table.unusable(now.parse().unwrap());
        told.into_iter().map(|one| (one.kind, one.name)).collect()
    };
    let github = TrustTable::github().unwrap();
    assert_eq!(told(&github, "2027-06-11T00:00:00Z"), []);
    let spent = told(&github, "2027-06-13T00:00:00Z");
    let authority = (TrustedKind::CertificateAuthority, "fulcio.githubapp.com".to_owned());
    assert!(spent.contains(&authority), "{spent:?}");
    // A window that the root has closed says so already.
    let sigstore = TrustTable::sigstore().unwrap();
    assert_eq!(told(&sigstore, "2026-11-24T00:00:00Z"), []);
}
