//! A log that signs no time of its own (Rekor v2): what it vouches for, and when.

use pullgate_policy::code::Code;
use pullgate_policy::evidence::{Clock, LogEntry, LogProof};
use pullgate_policy::identity::{Name, Transparency};
use pullgate_verify::{Sct, TrustTable};
use serde_json::{Value, json};

use super::{Worth, evidence, here, item, judge_under, named, table};

/// A change of a trusted root, and the code that follows.
type Tampering<'a> = (&'a str, &'a dyn Fn(&mut Value), Code);

/// Its timestamp is of 2025-06-12T12:02:20Z.
const STAMPED: &str = "sigstore-conformance/rekor2-happy-path";

#[test]
fn a_log_that_signs_no_time_vouches_for_an_index_and_the_timestamp_is_the_time() {
    let Some(()) = here() else { return };
    let (folder, kind, trust) = named(STAMPED);
    let evidence = evidence(&folder, item(&folder, &kind), table(&folder, &trust));
    let facts = evidence.signatures[0].facts();
    let log = "https://log2025-alpha1.rekor.sigstage.dev".to_owned();
    let expected = LogEntry { log, index: Some(735), by: LogProof::Inclusion };
    assert_eq!(facts.vouchers.entries, [expected]);
    assert_eq!(facts.trusted_time, Some("2025-06-12T12:02:20Z".parse().unwrap()));
    assert_eq!(facts.vouchers.clock, Some(Clock::TimestampAuthority));
}

#[test]
fn a_log_that_signs_no_time_counts_while_its_key_is_valid_at_the_timestamps() {
    let Some(()) = here() else { return };
    let (folder, kind, _) = named(STAMPED);
    let root: Value =
        serde_json::from_slice(&std::fs::read(folder.join("trusted_root.json")).unwrap()).unwrap();
    let within = |start: &str, end: &str| {
        let mut root = root.clone();
        root["tlogs"][1]["publicKey"]["validFor"] = json!({ "start": start, "end": end });
        let table =
            TrustTable::from_json(Name::new("file"), root.to_string().as_bytes(), Sct::Required).unwrap();
        judge_under(&folder, item(&folder, &kind), &kind, (table, Transparency::Required)).0
    };
    let (long_ago, later) = ("2025-04-16T00:00:00Z", "2036-01-01T00:00:00Z");
    assert_eq!(within(long_ago, later), Worth::Counts);
    assert_eq!(within("2025-06-12T12:02:20Z", "2025-06-12T12:02:20Z"), Worth::Counts);
    assert_eq!(within(long_ago, "2025-06-12T12:02:19Z"), Worth::Rejected(Code::LogUnknown), "no more");
    assert_eq!(within("2025-06-12T12:02:21Z", later), Worth::Rejected(Code::LogUnknown), "not yet");
}

#[test]
fn a311_a322_a323_a327_the_chain_behind_such_an_entry_is_held_against_the_table() {
    let Some(()) = here() else { return };
    let root: Value =
        serde_json::from_slice(include_bytes!("../../roots/sigstore/trusted_root.json")).unwrap();
    let under = |change: &dyn Fn(&mut Value), sct: Sct| {
        let (folder, kind, _) = named("slsa-verifier-oci/v1.4.0");
        let mut root = root.clone();
        change(&mut root);
        let table = TrustTable::from_json(Name::new("file"), root.to_string().as_bytes(), sct).unwrap();
        judge_under(&folder, item(&folder, &kind), &kind, (table, Transparency::Required)).0
    };
    let all = |root: &mut Value, list: &str, change: &dyn Fn(&mut Value)| {
        root[list].as_array_mut().unwrap().iter_mut().for_each(change);
    };
    assert_eq!(under(&|_| {}, Sct::Required), Worth::Counts);
    let ended = json!({ "start": "2021-01-01T00:00:00Z", "end": "2022-06-01T00:00:00Z" });
    let no_logs = |root: &mut Value| root["ctlogs"] = json!([]);
    assert_eq!(under(&no_logs, Sct::Required), Worth::Rejected(Code::SctInvalid));
    assert_eq!(under(&no_logs, Sct::None), Worth::Counts, "where none is asked for");
    let changes: [Tampering<'_>; 5] = [
        (
            "certificate logs of before",
            &|root| all(root, "ctlogs", &|log| log["publicKey"]["validFor"] = ended.clone()),
            Code::SctInvalid,
        ),
        (
            "authorities of before",
            &|root| all(root, "certificateAuthorities", &|one| one["validFor"] = ended.clone()),
            Code::CertificateExpired,
        ),
        (
            "another authority",
            &|root| {
                let staging: Value =
                    serde_json::from_slice(&std::fs::read(super::root().join("roots/staging.json")).unwrap())
                        .unwrap();
                root["certificateAuthorities"] = staging["certificateAuthorities"].clone();
            },
            Code::CertificateUntrusted,
        ),
        (
            "logs of before",
            &|root| all(root, "tlogs", &|log| log["publicKey"]["validFor"] = ended.clone()),
            Code::LogUnknown,
        ),
        ("no log", &|root| root["tlogs"] = json!([]), Code::LogUnknown),
    ];
    for (what, change, code) in changes {
        assert_eq!(under(change, Sct::Required), Worth::Rejected(code), "{what}");
    }
}
