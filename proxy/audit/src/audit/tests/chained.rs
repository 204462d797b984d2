//! The chain of records, over restarts and rotations, and its signed heads.

use super::*;
use crate::key::{LogKey, PublicKey};
use crate::read::Reader;
use crate::verify::{Altered, Outcome, Verifier};

async fn run(folder: &Path, records: usize) {
    let audit = settings(AuditLog::File(folder.join("log"))).start(&folder.join("audit.db")).await.unwrap();
    for _ in 0..records {
        audit.write(record()).await.unwrap();
    }
    let time = Timestamp::from_second(1_800_000_000).unwrap();
    audit.end(Record::new(Kind::Stop, &DecisionId::random(), time, Word::Permit)).await;
    drop(audit);
    wait_until(|| !folder.join("audit.db-wal").exists()).await;
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
async fn the_chain_goes_on_over_restarts_and_its_head_is_signed_at_each_stop() {
    let folder = tempfile::tempdir().unwrap();
    for n in 1..=3 {
        run(folder.path(), 10).await;
        // Ten, the stop, and the head.
        for outcome in [of_rows(folder.path()).await, of_lines(folder.path())] {
            assert_eq!((outcome.records, outcome.heads, outcome.finding), (n * 12, n, None));
            assert_eq!(outcome.last.unwrap().0, n * 12);
            assert_eq!(outcome.signed.unwrap().0, n * 12 - 1);
        }
        if n == 2 {
            // Of a log that somebody else rotates the rows know where the chain goes on.
            std::fs::copy(folder.path().join("log"), folder.path().join("kept")).unwrap();
            std::fs::write(folder.path().join("log"), "").unwrap();
            run(folder.path(), 0).await;
            let (rows, lines) = (of_rows(folder.path()).await, of_lines(folder.path()));
            assert_eq!((rows.records, rows.finding), (n * 12 + 2, None));
            assert_eq!((lines.first.unwrap().0, lines.finding), (n * 12 + 1, None));
            break;
        }
    }
}

#[tokio::test]
async fn the_chain_goes_on_behind_an_idle_time_in_which_all_rows_got_too_old() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(Timestamp::from_second(1_800_000_000).unwrap());
    // Lines that nobody can read again: the rows alone say where the chain goes on.
    let settings = || Settings { clock: clock.clone(), ..settings(AuditLog::File("/dev/null".into())) };
    for start in 1..=2 {
        let audit = settings().start(&folder.path().join("audit.db")).await.unwrap();
        for _ in 0..5 {
            audit.write(Record { time: clock.now(), ..record() }).await.unwrap();
        }
        audit.end(Record { kind: Kind::Stop, time: clock.now(), ..record() }).await;
        clock.advance(Duration::from_secs(3_600));
        audit.flush().await;
        drop(audit);
        wait_until(|| !folder.path().join("audit.db-wal").exists()).await;
        let outcome = of_rows(folder.path()).await;
        assert_eq!(outcome.finding, None, "start {start}");
        assert_eq!(outcome.records, 1, "the head alone stays");
    }
}

#[tokio::test]
async fn a_row_that_somebody_changed_in_the_database_is_found() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), 10).await;
    execute(folder.path(), "update audit set record = replace(record, 'permit', 'deny') where position = 4")
        .await;
    let finding = of_rows(folder.path()).await.finding.unwrap();
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
    assert_eq!((both.first(), of_rows(folder.path()).await.heads), (first.first(), 2));
    std::fs::write(folder.path().join(LogKey::FILE), "nonsense").unwrap();
    let started =
        settings(AuditLog::File(folder.path().join("log"))).start(&folder.path().join("audit.db")).await;
    assert!(matches!(started, Err(StartError::Key(_))), "{started:?}");
}
