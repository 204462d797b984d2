use super::*;
use crate::id::DecisionId;
use crate::key::LogKey;
use crate::record::{Record, Word};

fn time(n: u64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + i64::try_from(n).unwrap()).unwrap()
}

/// A log of so many records, with a signed head behind every tenth.
fn log(records: u64, key: &LogKey) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for n in 1..=records {
        let kind = if n % 10 == 0 { Kind::Checkpoint } else { Kind::Manifest };
        let mut record = Record::new(kind, &DecisionId::random(), time(n), Word::Permit);
        record.sequence = n;
        record.repository = format!("registry.test/app-{n}");
        if let Some(before) = lines.last() {
            let hash = hash::hash(before.as_bytes());
            record.before = hex::encode(hash);
            if n % 10 == 0 {
                record.note = note::sign(&Head { sequence: n - 1, hash }, time(n), key);
            }
        }
        lines.push(record.into_line());
    }
    lines
}

fn verified(lines: &[String], key: &PublicKey) -> Outcome {
    let mut verifier = Verifier::new(std::slice::from_ref(key));
    lines.iter().for_each(|line| verifier.look(line));
    verifier.end()
}

/// What is said without a key, where no head is expected.
fn followed(lines: &[String]) -> Outcome {
    let mut verifier = Verifier::new(&[]);
    lines.iter().for_each(|line| verifier.look(line));
    verifier.end()
}

fn key() -> (tempfile::TempDir, LogKey) {
    let folder = tempfile::tempdir().unwrap();
    let key = LogKey::load_or_create(&folder.path().join("key"), "gate").unwrap();
    (folder, key)
}

#[test]
fn a_log_that_nobody_altered_holds_from_its_first_record_to_its_last() {
    let (_folder, key) = key();
    let outcome = verified(&log(35, &key), key.public());
    assert_eq!((outcome.records, outcome.heads, outcome.finding), (35, 3, None));
    assert_eq!((outcome.first, outcome.last), (Some((1, time(1))), Some((35, time(35)))));
    assert_eq!(outcome.signed, Some((29, time(30))), "what came behind is not signed yet");
}

#[test]
fn each_record_that_is_changed_dropped_or_put_in_is_named() {
    let (_folder, key) = key();
    let whole = log(35, &key);
    for at in 0..34_usize {
        let number = at as u64 + 1;
        let mut changed = whole.clone();
        changed[at] = changed[at].replace("\"milliseconds\":0", "\"milliseconds\":1");
        let found = verified(&changed, key.public()).finding.unwrap();
        assert_eq!((found.sequence, found.what), (number, Altered::Changed), "changed {number}");
        if at > 0 {
            let mut dropped = whole.clone();
            dropped.remove(at);
            let found = verified(&dropped, key.public()).finding.unwrap();
            assert_eq!((found.sequence, found.what), (number + 1, Altered::Dropped), "dropped {number}");
        }
        let mut put_in = whole.clone();
        put_in.insert(at + 1, whole[at].clone());
        let found = verified(&put_in, key.public()).finding.unwrap();
        assert_eq!((found.sequence, found.what), (number, Altered::PutIn), "put in {number}");
    }
    let mut nonsense = whole.clone();
    nonsense[5] = "nonsense".to_owned();
    assert_eq!(verified(&nonsense, key.public()).finding.unwrap().what, Altered::Unreadable);
}

#[test]
fn who_writes_the_whole_chain_anew_has_no_signature() {
    let (_folder, key) = key();
    let (_other_folder, other) = self::key();
    let found = verified(&log(35, &other), key.public()).finding.unwrap();
    assert_eq!((found.sequence, found.what), (10, Altered::Head));
    // A head that was signed over other records is taken from one log into another.
    let (whole, mut forged) = (log(35, &key), log(35, &key));
    let note = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["note"].to_string();
    forged[9] = forged[9].replace(&note(&forged[9]), &note(&whole[9]));
    let found = verified(&forged[..10], key.public()).finding.unwrap();
    assert_eq!((found.sequence, found.what), (10, Altered::Head));
}

#[test]
fn what_the_gate_tells_as_lost_is_no_alteration_and_is_counted() {
    let (_folder, key) = key();
    let mut lines = log(4, &key);
    let mut record = Record::new(Kind::Manifest, &DecisionId::random(), time(8), Word::Permit);
    (record.sequence, record.lost) = (8, 3);
    record.before = hex::encode(hash::hash(lines[3].as_bytes()));
    lines.push(record.into_line());
    let outcome = followed(&lines);
    assert_eq!((outcome.lost, outcome.last, outcome.finding), (3, Some((8, time(8))), None));
    lines.remove(3);
    let found = followed(&lines).finding.unwrap();
    assert_eq!(found.what, Altered::Dropped, "one more than it tells");
}

#[test]
fn records_of_a_release_that_chained_none_are_said_to_be_unknown() {
    let mut lines: Vec<String> = Vec::new();
    for n in 5..=7 {
        let mut record = Record::new(Kind::Manifest, &DecisionId::random(), time(n), Word::Permit);
        record.sequence = n;
        lines.push(record.into_line());
    }
    let mut record = Record::new(Kind::Manifest, &DecisionId::random(), time(8), Word::Permit);
    record.sequence = 8;
    record.before = hex::encode(hash::hash(lines[2].as_bytes()));
    lines.push(record.into_line());
    let outcome = followed(&lines);
    assert_eq!((outcome.unchained, outcome.first, outcome.finding), (3, Some((8, time(8))), None));
}

/// The log of somebody who writes it anew from this record on, without the key: heads become records of another kind.
fn rewritten(lines: &[String], from: usize) -> Vec<String> {
    let mut anew: Vec<String> = lines[..from].to_vec();
    for line in &lines[from..] {
        let mut record: serde_json::Value = serde_json::from_str(line).unwrap();
        if record["kind"] == "checkpoint" {
            record["kind"] = "reload".into();
            record.as_object_mut().unwrap().remove("note");
        }
        if let Some(before) = anew.last() {
            record["before"] = hex::encode(hash::hash(before.as_bytes())).into();
        }
        anew.push(record.to_string());
    }
    anew
}

#[test]
fn a_log_written_anew_without_the_key_has_no_head_and_does_not_hold() {
    let (_folder, key) = key();
    let whole = log(1_000, &key);
    let found = |from: usize| verified(&rewritten(&whole, from), key.public()).finding;
    let unsigned = |sequence| Some(Finding { sequence, time: Some(time(sequence)), what: Altered::Unsigned });
    assert_eq!(found(0), unsigned(1), "all of it");
    assert_eq!(found(10), unsigned(11), "behind the first head, for longer than no head is signed");
    let mut idle = whole[..10].to_vec();
    let mut record: serde_json::Value = serde_json::from_str(&whole[10]).unwrap();
    record["time"] = time(100_000).to_string().into();
    idle.push(record.to_string());
    assert_eq!(
        verified(&idle, key.public()).finding,
        None,
        "nobody pulled for a day: nothing was to be signed"
    );
    assert_eq!(found(991), None, "what came a moment ago is not signed yet, in an honest log either");
    assert_eq!(followed(&rewritten(&whole, 0)).finding, None, "without a key only the chain is followed");
}
