//! One pull is one story; what the gate does by itself is recorded too; the log is whole at its end.

use std::collections::BTreeSet;

use pullgate::audit::PublicKey;
use pullgate::audit::read::{Filter, Reader};
use pullgate::audit::verify::Verifier;
use pullgate_tests::asking::ask;
use serde_json::Value;

use crate::stage::{KEYED, Stage, assert_denied, assert_serves, blob, manifest};

fn of_kind(stage: &Stage, kind: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(stage.gate.path("audit.jsonl")).unwrap();
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.filter(|record| record["kind"] == kind).collect()
}

#[tokio::test]
async fn one_pull_is_one_story_and_its_blobs_are_counted_on_it() {
    let mut stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    let other = stage.signed("org/other", "v1");
    ask(stage.gate.data, "HEAD", &manifest("org/app", "v1"), &[]).await;
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    assert_serves(&stage.manifest("org/app", &image.digest()).await, &image);
    assert_eq!(stage.gate.get(&blob("org/app", &image.layer())).await.status, 200);
    assert_eq!(stage.gate.get(&blob("org/app", &image.config())).await.status, 200);
    assert_serves(&stage.manifest("org/other", "v1").await, &other);
    let records = stage.gate.records().await;
    let stories: Vec<&Value> = records.iter().map(|record| &record["story"]).collect();
    assert_eq!(stories.len(), 4);
    let of_app: BTreeSet<String> = stories.iter().take(3).map(ToString::to_string).collect();
    assert_eq!(of_app.len(), 1, "{stories:?}");
    assert!(!of_app.contains(&stories[3].to_string()), "another image is another story");
    stage.gate.stop().await;
    let blobs = of_kind(&stage, "blobs");
    assert!(
        matches!(blobs.as_slice(), [one] if one["count"] == 2 && one["story"] == *stories[0]),
        "{blobs:?}"
    );
}

#[tokio::test]
async fn a_start_and_a_stop_are_records_the_policy_is_kept_and_the_log_is_whole() {
    let mut stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    let revision = stage.gate.record().await["policy_revision"].as_str().unwrap().to_owned();
    stage.reload(&format!("{KEYED}# another\n")).await;
    stage.gate.restart().await;
    stage.gate.stop().await;
    assert_eq!((of_kind(&stage, "start").len(), of_kind(&stage, "stop").len()), (2, 2));
    let folder = stage.gate.path("state/policies");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2, "each that was in force");
    let text = pullgate::audit::texts::find(&folder, &revision).unwrap().unwrap().1;
    assert!(text.contains(KEYED) && !text.contains("# another"), "{text}");
    let database = stage.gate.path("state/audit.db");
    let keys = PublicKey::read(&database);
    let mut verifier = Verifier::new(&keys);
    let text = std::fs::read_to_string(stage.gate.path("audit.jsonl")).unwrap();
    text.lines().for_each(|line| verifier.look(line));
    let outcome = verifier.end();
    let [piece] = outcome.pieces.as_slice() else { panic!("{outcome:?}") };
    assert_eq!((outcome.records, piece.heads), (text.lines().count() as u64, 4));
    assert_eq!(piece.finding, None);
    let reader = Reader::open(&database).await.unwrap();
    let mut search = reader.search(Filter { tag: Some("v1".to_owned()), ..Filter::default() }).await.unwrap();
    assert_eq!(search.next().await.unwrap().unwrap().record.digest, Some(image.digest()));
}

#[tokio::test]
async fn a_denial_says_what_was_met_too_and_an_exemption_until_when_and_why() {
    let policy = format!(
        "{KEYED}[[policy.require]]\nattestation = \"slsa-provenance\"\nsigned_by = {{ any_of = [\"release\"] }}\n"
    );
    let stage = Stage::on(&policy).await;
    let image = stage.signed("org/app", "v1");
    assert_denied(&stage.manifest("org/app", "v1").await);
    let record = stage.gate.record().await;
    let lines = |key: &str| record[key].as_array().map(Vec::len).unwrap_or_default();
    assert_eq!((lines("requirements"), lines("unmet")), (1, 1), "{record}");
    assert_ne!(record["requirements"][0], record["unmet"][0], "{record}");
    let exempt = format!(
        "[[exempt]]\ndigest = \"{}\"\nuntil = 2999-01-01\nowner = \"me\"\nreason = \"INC-1\"\n",
        image.digest()
    );
    stage.reload(&format!("{policy}{exempt}")).await;
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    let record = stage.gate.record().await;
    let text = record["reasons"][0]["text"].as_str().unwrap().to_owned();
    assert!(
        record["ground"] == "exempt" && text.contains("INC-1") && text.contains("2999-01-02"),
        "{record}"
    );
}

#[tokio::test]
async fn a_trusted_proxy_names_the_client_of_a_record_and_another_does_not() {
    for (trusted, expected) in [("127.0.0.1", Some("192.0.2.7")), ("10.0.0.0/8", None)] {
        let listen = format!("trusted_proxies = [\"{trusted}\"]");
        let stage = Stage::with(KEYED, |setup| setup.listen_also(&listen)).await;
        let image = stage.signed("org/app", "v1");
        let headers = [("x-forwarded-for", "203.0.113.9, 192.0.2.7")];
        assert_serves(&stage.gate.get_with(&manifest("org/app", "v1"), &headers).await, &image);
        let client = &stage.gate.record().await["client"];
        assert_eq!(client["forwarded"].as_str(), expected, "{client}");
        assert!(client["address"].as_str().unwrap().starts_with("127.0.0.1:"), "{client}");
    }
}
