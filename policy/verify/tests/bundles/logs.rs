//! A log that signs no time of its own (Rekor v2): what it vouches for, and when.

use pullgate_policy::code::Code;
use pullgate_policy::evidence::{Clock, LogEntry, LogProof};
use pullgate_policy::identity::{Name, Transparency};
use pullgate_verify::{Sct, TrustTable};
use serde_json::{Value, json};

use super::{Worth, evidence, item, judge_under, named, table};

/// Its timestamp is of 2025-06-12T12:02:20Z.
const STAMPED: &str = "sigstore-conformance/rekor2-happy-path";

#[test]
fn a_log_that_signs_no_time_vouches_for_an_index_and_the_timestamp_is_the_time() {
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
