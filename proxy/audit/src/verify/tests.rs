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
                let head = Says::Covers(Head { sequence: n - 1, hash });
                record.note = note::sign(&head, time(n), key);
            }
        }
        lines.push(record.into_line());
    }
    lines
}

fn pieces(lines: &[String], key: &PublicKey) -> Outcome {
    let mut verifier = Verifier::new(std::slice::from_ref(key));
    lines.iter().for_each(|line| verifier.look(line));
    verifier.end()
}

/// What came of a log of one piece.
fn verified(lines: &[String], key: &PublicKey) -> Piece {
    one(&pieces(lines, key))
}

fn one(outcome: &Outcome) -> Piece {
    assert_eq!(outcome.pieces.len(), 1, "{outcome:?}");
    outcome.pieces[0].clone()
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
    assert_eq!(pieces(&log(35, &key), key.public()).records, 35);
    let outcome = verified(&log(35, &key), key.public());
    assert_eq!((outcome.heads, outcome.finding), (3, None));
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
    assert_eq!(outcome.lost, 3);
    let piece = one(&outcome);
    assert_eq!((piece.last, piece.finding), (Some((8, time(8))), None));
    lines.remove(3);
    let found = one(&followed(&lines)).finding.unwrap();
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
    assert_eq!(outcome.unchained, 3);
    let piece = one(&outcome);
    assert_eq!((piece.first, piece.finding), (Some((8, time(8))), None));
    let (_folder, key) = key();
    let found = verified(&lines[..3], key.public()).finding.unwrap();
    assert_eq!((found.sequence, found.what), (5, Altered::Unsigned), "anybody could have written them");
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
    assert_eq!(
        one(&followed(&rewritten(&whole, 0))).finding,
        None,
        "without a key only the chain is followed"
    );
}

/// The checkpoint by which a log begins with this number.
fn begun(n: u64, begins: Begins, key: &LogKey) -> String {
    let mut record = Record::new(Kind::Checkpoint, &DecisionId::random(), time(n), Word::Permit);
    record.sequence = n;
    record.note = note::sign(&Says::Begins(n - 1, begins), time(n), key);
    record.into_line()
}

/// Records behind this line, up to a number.
fn go_on(mut lines: Vec<String>, to: u64) -> Vec<String> {
    let first: serde_json::Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    for n in first["sequence"].as_u64().unwrap() + 1..=to {
        let mut record = Record::new(Kind::Manifest, &DecisionId::random(), time(n), Word::Permit);
        record.sequence = n;
        record.before = hex::encode(hash::hash(lines.last().unwrap().as_bytes()));
        lines.push(record.into_line());
    }
    lines
}

#[test]
fn a_log_that_begins_is_whole_so_far_and_one_stripped_of_its_beginning_is_not() {
    let (_folder, key) = key();
    let young = go_on(vec![begun(1, Begins::First, &key)], 60);
    let piece = verified(&young, key.public());
    assert_eq!((piece.begins, piece.heads, piece.finding), (Some(Begins::First), 1, None));
    assert_eq!((piece.first, piece.last), (Some((1, time(1))), Some((60, time(60)))));
    let stripped = rewritten(&young, 0);
    let found = verified(&stripped, key.public()).finding.unwrap();
    assert_eq!((found.sequence, found.what), (1, Altered::Unsigned));
    let late = go_on(young.clone(), 1_000);
    assert_eq!(verified(&late, key.public()).finding.unwrap().what, Altered::Unsigned, "a head was due");
    let mut backwards = go_on(young.clone(), 61);
    let last: serde_json::Value = serde_json::from_str(&backwards[60]).unwrap();
    backwards[60] = last.to_string().replace(time(61).to_string().get(..19).unwrap(), "2020-01-01T00:00:00");
    assert_eq!(verified(&backwards, key.public()).finding.unwrap().what, Altered::Unsigned, "backwards too");
    let (_other_folder, other) = self::key();
    let theirs = go_on(vec![begun(1, Begins::First, &other)], 60);
    assert_eq!(verified(&theirs, key.public()).finding.unwrap().what, Altered::Head);
}

#[test]
fn a_log_that_begins_anew_is_judged_piece_by_piece() {
    let (_folder, key) = key();
    let signed = log(30, &key);
    let anew = |n| go_on(vec![begun(n, Begins::Anew, &key)], n + 9);
    let finding = |lines: &[String]| pieces(lines, key.public()).pieces.into_iter().map(|one| one.finding);
    let whats =
        |lines: &[String]| finding(lines).map(|found| found.map(|found| found.what)).collect::<Vec<_>>();
    let join = |one: &[String], other: Vec<String>| [one.to_vec(), other].concat();
    // Up to its last record the first is signed, as where a key is replaced at a stop.
    assert_eq!(whats(&join(&signed, anew(31))), [None, None]);
    // What no head covers is covered by none of what comes, however short it is.
    let tail = go_on(signed.clone(), 35);
    let outcome = pieces(&join(&tail, anew(36)), key.public());
    let found = outcome.pieces[0].finding.clone().unwrap();
    assert_eq!((found.sequence, found.what), (31, Altered::Unsigned));
    assert_eq!((outcome.pieces[1].first, outcome.pieces[1].finding.clone()), (Some((36, time(36))), None));
    // Records between are missing; a piece that does not hold ends where it does not, and the next is told.
    assert_eq!(whats(&join(&signed, anew(41))), [Some(Altered::Dropped), None]);
    let mut changed = signed.clone();
    changed[4] = changed[4].replace("\"milliseconds\":0", "\"milliseconds\":1");
    assert_eq!(whats(&join(&changed, anew(31))), [Some(Altered::Changed), None]);
    // What was before is not there at all.
    assert_eq!(whats(&anew(31)), [Some(Altered::Missing), None]);
    // One that was signed once is put in nowhere else, and nobody begins a log without the key.
    assert_eq!(whats(&join(&signed, anew(11))), [Some(Altered::PutIn)]);
    let (_other_folder, other) = self::key();
    let theirs = go_on(vec![begun(31, Begins::Anew, &other)], 40);
    assert_eq!(whats(&join(&signed, theirs)), [Some(Altered::Changed)]);
}

#[test]
fn records_before_a_loss_that_hides_their_hash_are_covered_by_no_later_head() {
    let (_folder, key) = key();
    let lost = |from: u64| {
        let mut lines = rewritten(&log(from, &key), 0);
        let mut record = Record::new(Kind::Manifest, &DecisionId::random(), time(from + 2), Word::Permit);
        (record.sequence, record.lost) = (from + 2, 1);
        record.before = hex::encode([7; 32]);
        lines.push(record.into_line());
        let (n, hash) = (from + 3, hash::hash(lines.last().unwrap().as_bytes()));
        let mut record = Record::new(Kind::Checkpoint, &DecisionId::random(), time(n), Word::Permit);
        (record.sequence, record.before) = (n, hex::encode(hash));
        record.note = note::sign(&Says::Covers(Head { sequence: n - 1, hash }), time(n), &key);
        lines.push(record.into_line());
        lines
    };
    assert_eq!(verified(&lost(5), key.public()).finding.unwrap().what, Altered::Unsigned);
    // Behind a head they are held by, up to there.
    let mut honest = log(10, &key);
    honest.extend(go_on(vec![honest[9].clone()], 11).split_off(1));
    let mut record = Record::new(Kind::Manifest, &DecisionId::random(), time(13), Word::Permit);
    (record.sequence, record.lost, record.before) = (13, 1, hex::encode([7; 32]));
    honest.push(record.into_line());
    assert_eq!(verified(&honest, key.public()).finding, None);
}

#[test]
fn more_pieces_than_are_told_apart_are_not_whole() {
    let (_folder, key) = key();
    let whole = |pieces: u64| -> Vec<String> {
        // Each begins where the one before ends, with its beginning alone.
        (1..=pieces).map(|n| begun(n, if n == 1 { Begins::First } else { Begins::Anew }, &key)).collect()
    };
    let most = LOG_PIECES as u64;
    assert_eq!(pieces(&whole(most), key.public()).finding(), None);
    let outcome = pieces(&whole(most + 1), key.public());
    assert_eq!(outcome.finding().unwrap().what, Altered::TooManyPieces);
    assert!(pieces(&whole(2 * most), key.public()).pieces.len() <= LOG_PIECES);
}
