//! The chain of records, over restarts and rotations, and its signed heads.

use super::*;
use crate::key::{LogKey, PublicKey};
use crate::note::Begins;
use crate::read::Reader;
use crate::verify::{Altered, Outcome, Piece, Verifier};

async fn run(folder: &Path, records: usize) {
    run_to(AuditLog::File(folder.join("log")), OnFailure::Count, folder, records).await;
}

/// Lines that nobody can read again: the rows alone say where the chain goes on.
async fn run_without_lines(folder: &Path, on_failure: OnFailure, records: usize) {
    run_to(AuditLog::File("/dev/null".into()), on_failure, folder, records).await;
}

/// A gate from its start to its stop: the head, the start, records, the stop, the head.
async fn run_to(log: AuditLog, on_failure: OnFailure, folder: &Path, records: usize) {
    let settings = Settings { on_failure, ..settings(log) };
    let audit = settings.start(&folder.join("audit.db")).await.unwrap();
    let of_gate = |kind| Record { kind, ..record() };
    audit.begin(of_gate(Kind::Start)).await;
    audit.publish_key().await;
    for _ in 0..records {
        audit.write(record()).await.unwrap();
    }
    audit.end(of_gate(Kind::Stop)).await;
    drop(audit);
    wait_until(|| !folder.join("audit.db-wal").exists()).await;
}

/// The one piece of a log that never began anew.
fn one(outcome: &Outcome) -> Piece {
    assert_eq!(outcome.pieces.len(), 1, "{outcome:?}");
    outcome.pieces[0].clone()
}

/// What is wrong with each piece.
fn whats(outcome: &Outcome) -> Vec<Option<Altered>> {
    outcome.pieces.iter().map(|piece| piece.finding.as_ref().map(|found| found.what)).collect()
}

fn keys(folder: &Path) -> Vec<PublicKey> {
    PublicKey::read(&folder.join("audit.db"))
}

async fn of_rows(folder: &Path) -> Outcome {
    let (reader, keys) = (Reader::open(&folder.join("audit.db")).await.unwrap(), keys(folder));
    let mut verifier = Verifier::new(&keys);
    reader.lines_after(0).await.unwrap().iter().for_each(|(_, line)| verifier.look(line));
    verifier.end()
}

fn of_lines(folder: &Path) -> Outcome {
    let keys = keys(folder);
    let mut verifier = Verifier::new(&keys);
    std::fs::read_to_string(folder.join("log")).unwrap().lines().for_each(|line| verifier.look(line));
    verifier.end()
}

#[tokio::test]
async fn the_chain_goes_on_over_restarts_and_its_head_is_signed_at_each_start_and_stop() {
    let folder = tempfile::tempdir().unwrap();
    for n in 1..=3 {
        run(folder.path(), 10).await;
        for outcome in [of_rows(folder.path()).await, of_lines(folder.path())] {
            let piece = one(&outcome);
            assert_eq!((outcome.records, piece.heads, piece.finding), (n * 14, n * 2, None));
            assert_eq!((piece.begins, piece.last.unwrap().0), (Some(Begins::First), n * 14));
            assert_eq!(piece.signed.unwrap().0, n * 14 - 1);
        }
        if n == 2 {
            // Of a log that somebody else rotates the rows know where the chain goes on.
            std::fs::copy(folder.path().join("log"), folder.path().join("kept")).unwrap();
            std::fs::write(folder.path().join("log"), "").unwrap();
            run(folder.path(), 0).await;
            let (rows, lines) = (of_rows(folder.path()).await, one(&of_lines(folder.path())));
            assert_eq!((rows.records, one(&rows).finding), (n * 14 + 4, None));
            assert_eq!((lines.first.unwrap().0, lines.finding), (n * 14 + 1, None));
            break;
        }
    }
}

#[tokio::test]
async fn the_chain_goes_on_behind_an_idle_time_in_which_all_rows_got_too_old() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(Timestamp::from_second(1_800_000_000).unwrap());
    let settings = || Settings { clock: clock.clone(), ..settings(AuditLog::File("/dev/null".into())) };
    for start in 1..=2 {
        let audit = settings().start(&folder.path().join("audit.db")).await.unwrap();
        audit.begin(Record { kind: Kind::Start, time: clock.now(), ..record() }).await;
        audit.publish_key().await;
        for _ in 0..5 {
            audit.write(Record { time: clock.now(), ..record() }).await.unwrap();
        }
        audit.end(Record { kind: Kind::Stop, time: clock.now(), ..record() }).await;
        clock.advance(Duration::from_secs(3_600));
        audit.flush().await;
        drop(audit);
        wait_until(|| !folder.path().join("audit.db-wal").exists()).await;
        let outcome = of_rows(folder.path()).await;
        assert_eq!(outcome.finding(), None, "start {start}");
        assert_eq!(outcome.records, 1, "the head alone stays");
    }
    run_without_lines(folder.path(), OnFailure::Count, 1).await;
    assert_eq!(one(&of_rows(folder.path()).await).begins, None, "it goes on behind that head");
}

/// Writes a log's rows anew from this place on, as somebody does who has no key: each holds the hash of the one before.
async fn rewrite(folder: &Path, from: i64) {
    let mut connection = connect(&folder.join("audit.db")).await;
    let rows: Vec<(i64, String)> = sqlx::query_as("select position, record from audit order by position")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    let mut before: Option<String> = None;
    for (position, line) in rows {
        let mut record: serde_json::Value = serde_json::from_str(&line).unwrap();
        let mut line = line;
        if position >= from {
            if record["kind"] == "checkpoint" {
                record["kind"] = "reload".into();
                record.as_object_mut().unwrap().remove("note");
            }
            record["repository"] = "registry.test/forged".into();
            if let Some(before) = &before {
                record["before"] = hex::encode(crate::hash(before.as_bytes())).into();
            }
            // As a gate writes it: time and number come first.
            line = serde_json::from_value::<Record>(record).unwrap().into_line();
            sqlx::query("update audit set record = $1 where position = $2")
                .bind(line.as_str())
                .bind(position)
                .execute(&mut connection)
                .await
                .unwrap();
        }
        before = Some(line);
    }
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_log_that_was_rewritten_while_its_gate_stood_is_not_signed_for() {
    for (from, found, signed) in [(1, 1, None), (15, 15, Some(14))] {
        let folder = tempfile::tempdir().unwrap();
        run_without_lines(folder.path(), OnFailure::Count, 10).await;
        run_without_lines(folder.path(), OnFailure::Count, 10).await;
        rewrite(folder.path(), from).await;
        let before = of_rows(folder.path()).await;
        run_without_lines(folder.path(), OnFailure::Count, 3).await;
        let outcome = of_rows(folder.path()).await;
        assert_eq!(whats(&outcome), [Some(Altered::Unsigned), None], "{outcome:?}");
        let [forged, honest] = outcome.pieces.as_slice() else { panic!("{outcome:?}") };
        assert_eq!(forged.finding.as_ref().unwrap().sequence, found);
        assert_eq!(forged.signed.map(|(number, _)| number + 1), signed);
        assert_eq!((honest.begins, honest.first.unwrap().0), (Some(Begins::Anew), 29));
        // From the second head on it did not look altered before the gate signed behind it: nobody had signed for it.
        assert_eq!(whats(&before).len(), 1);
        // Behind the new beginning it goes on.
        run_without_lines(folder.path(), OnFailure::Count, 3).await;
        assert_eq!(whats(&of_rows(folder.path()).await), [Some(Altered::Unsigned), None]);
    }
}

#[tokio::test]
async fn rewritten_rows_beside_whole_lines_are_found_and_the_lines_go_on() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), 10).await;
    rewrite(folder.path(), 5).await;
    run(folder.path(), 10).await;
    assert_eq!(whats(&of_lines(folder.path())), [None]);
    assert!(of_rows(folder.path()).await.finding().is_some());
}

#[tokio::test]
async fn a_gate_that_was_killed_goes_on_behind_what_it_wrote() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), 5).await;
    for log in [AuditLog::File(folder.path().join("log")), AuditLog::File("/dev/null".into())] {
        let audit = settings(log.clone()).start(&folder.path().join("audit.db")).await.unwrap();
        audit.begin(record()).await;
        audit.publish_key().await;
        for _ in 0..5 {
            audit.write(record()).await.unwrap();
        }
        // Neither a stop nor a head.
        audit.flush().await;
        drop(audit);
        wait_until(|| !folder.path().join("audit.db-wal").exists()).await;
    }
    run_without_lines(folder.path(), OnFailure::Count, 1).await;
    let piece = one(&of_rows(folder.path()).await);
    assert_eq!((piece.begins, piece.finding), (Some(Begins::First), None));
}

#[tokio::test]
async fn a_log_that_was_emptied_begins_anew_for_all_to_see() {
    for (on_failure, first) in [(OnFailure::Count, 15), (OnFailure::Refuse, 1)] {
        let folder = tempfile::tempdir().unwrap();
        run_without_lines(folder.path(), on_failure, 10).await;
        execute(folder.path(), "delete from audit; delete from days").await;
        run_without_lines(folder.path(), on_failure, 3).await;
        let outcome = of_rows(folder.path()).await;
        assert_eq!(whats(&outcome), [Some(Altered::Missing), None], "{outcome:?}");
        assert_eq!(outcome.finding().unwrap().sequence, first);
    }
}

#[tokio::test]
async fn a_row_that_somebody_changed_in_the_database_is_found() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), 10).await;
    execute(folder.path(), "update audit set record = replace(record, 'permit', 'deny') where position = 4")
        .await;
    let finding = of_rows(folder.path()).await.finding().cloned().unwrap();
    assert_eq!((finding.sequence, finding.what), (4, Altered::Changed));
}

#[tokio::test]
async fn lines_name_their_gate_and_one_without_a_usable_key_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), 1).await;
    assert_eq!(lines(&folder.path().join("log"))[0]["gate"], host());
    let first = keys(folder.path());
    std::fs::remove_file(folder.path().join(LogKey::FILE)).unwrap();
    run(folder.path(), 1).await;
    let both = keys(folder.path());
    assert_eq!((first.len(), both.len()), (1, 2), "a key that was replaced is known still");
    assert_eq!(both.first(), first.first());
    // The new key signs for nothing that it did not write, and the old one covers all that it did.
    let outcome = of_rows(folder.path()).await;
    assert_eq!(whats(&outcome), [None, None]);
    assert_eq!(
        outcome.pieces.iter().map(|piece| piece.begins).collect::<Vec<_>>(),
        [Some(Begins::First), Some(Begins::Anew)]
    );
    std::fs::write(folder.path().join(LogKey::FILE), "nonsense").unwrap();
    let started =
        settings(AuditLog::File(folder.path().join("log"))).start(&folder.path().join("audit.db")).await;
    assert!(matches!(started, Err(StartError::Key(_))), "{started:?}");
}
