//! How long rows stay and how much room they take (A606).

use super::*;

fn at(clock: &Clock) -> Record {
    let mut record = record();
    record.time = clock.now();
    record
}

const DAY: Duration = Duration::from_secs(86_400);
const YEAR: Duration = Duration::from_secs(366 * 86_400);

fn kept_for(retain: Duration, clock: &Clock, log: &Path) -> Settings {
    Settings { retain, clock: clock.clone(), ..settings(AuditLog::File(log.to_owned())) }
}

/// One start: the rows that are too old are looked for, and one more comes.
async fn one_start(clock: &Clock, folder: &Path) -> i64 {
    let (log, database) = (folder.join("audit.log"), folder.join("audit.db"));
    let settings = kept_for(90 * DAY, clock, &log);
    let audit = settings.start(&database).await.unwrap();
    audit.write(at(clock)).await.unwrap();
    audit.flush().await;
    drop(audit);
    rows(folder).await
}

#[tokio::test]
async fn a606_a_clock_a_year_ahead_deletes_nothing_whatever_is_restarted_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let clock = Clock::fixed(now);
    for day in 1..=5 {
        assert_eq!(one_start(&clock, folder.path()).await, day);
        clock.advance(DAY);
    }
    // Wrong from its start on, several times over.
    let ahead = || Clock::fixed(clock.now().saturating_add(YEAR).unwrap());
    for more in 6..=9 {
        assert_eq!(one_start(&ahead(), folder.path()).await, more);
    }
    assert_eq!(one_start(&clock, folder.path()).await, 10, "and right again");
}

#[tokio::test]
async fn rows_past_their_time_go_and_the_lines_stay() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(Timestamp::from_second(1_800_000_000).unwrap());
    let log = folder.path().join("audit.log");
    let settings = kept_for(90 * DAY, &clock, &log);
    let audit = settings.start(&folder.path().join("audit.db")).await.unwrap();
    // The newest stays until another has come, for the chain.
    for (days, left) in [(1, 1), (40, 2), (45, 3), (10, 3), (40, 3), (200, 2), (1, 2)] {
        // As it passes: by day, with somebody who looks.
        for _ in 0..days {
            clock.advance(DAY);
            audit.flush().await;
        }
        audit.write(at(&clock)).await.unwrap();
        audit.flush().await;
        assert_eq!(rows(folder.path()).await, left, "{days}");
    }
    assert_eq!(lines(&log).len(), 7, "the log itself is not pruned");
}

#[tokio::test]
async fn a606_retain_max_deletes_the_oldest_and_says_so_and_a_reload_changes_it() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(Timestamp::from_second(1_800_000_000).unwrap());
    let log = folder.path().join("audit.log");
    let most = 4 * MIB;
    let settings = Settings { retain_max: Some(most), ..kept_for(90 * DAY, &clock, &log) };
    let audit = settings.start(&folder.path().join("audit.db")).await.unwrap();
    let mut large = at(&clock);
    large.identities = vec!["x".repeat(1_000); 4];
    let (mut first, written) = (None, 3_000);
    for n in 0..written {
        large.id = DecisionId::random().as_str().to_owned();
        first.get_or_insert_with(|| large.id.clone());
        audit.write(large.clone()).await.unwrap();
        if n % 500 == 0 {
            audit.flush().await;
        }
    }
    audit.flush().await;
    wait_until(|| audit.retention() != Condition::Good).await;
    let kept = rows(folder.path()).await;
    assert!(kept > 0 && kept < written, "{kept}");
    let size = std::fs::metadata(folder.path().join("audit.db")).unwrap().len();
    assert!(size <= most + 8 * MIB, "{size}");
    let newest = format!("select count(*) from audit where id = '{}'", large.id);
    let oldest = format!("select count(*) from audit where id = '{}'", first.unwrap());
    assert_eq!((count(folder.path(), &newest).await, count(folder.path(), &oldest).await), (1, 0));
    assert_eq!(audit.health(), Condition::Good, "a mark of its own");
    // Room again, and the rows that are there are old enough.
    audit.retain(Duration::from_secs(60), None);
    clock.advance(Duration::from_secs(120));
    audit.write(at(&clock)).await.unwrap();
    audit.flush().await;
    wait_until(|| audit.retention() == Condition::Good).await;
}

#[tokio::test]
async fn a606_what_strangers_caused_goes_before_any_row_of_a_pull() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(Timestamp::from_second(1_800_000_000).unwrap());
    let log = folder.path().join("audit.log");
    let open = async |retain_max| {
        let settings = Settings { retain_max, ..kept_for(90 * DAY, &clock, &log) };
        settings.start(&folder.path().join("audit.db")).await.unwrap()
    };
    let audit = open(None).await;
    for _ in 0..300 {
        audit.write(at(&clock)).await.unwrap();
    }
    audit.flush().await;
    let fill = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 3000) \
                insert into refused select 'x', 1, 'x', printf('%.*c', 2000, 'x') from n";
    execute(folder.path(), fill).await;
    audit.retain(90 * DAY, Some(2 * MIB));
    let folder = folder.path();
    for _ in 0..20 {
        audit.write(at(&clock)).await.unwrap();
        audit.flush().await;
    }
    assert_eq!(rows(folder).await, 320, "every pull is there");
    assert!(count(folder, "select count(*) from refused").await < 3_000);
    assert_eq!(audit.retention(), Condition::Good);
}

#[tokio::test]
async fn a606_a_client_that_calls_itself_ever_something_else_has_one_entry_for_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(Timestamp::from_second(1_800_000_000).unwrap());
    let settings = kept_for(90 * DAY, &clock, &folder.path().join("audit.log"));
    let audit = settings.start(&folder.path().join("audit.db")).await.unwrap();
    let most = crate::limits::AUDIT_AGENTS_OF_A_CLIENT;
    for (client, agents) in [("10.0.0.1:1", most), ("10.0.0.2:1", most + 50)] {
        for n in 0..agents {
            let (address, user_agent) = (client.to_owned(), format!("agent/{n}"));
            let client = Some(Client { address, forwarded: None, names: vec![], user_agent });
            audit.write(Record { client, ..at(&clock) }).await.unwrap();
        }
        audit.flush().await;
    }
    let facts = |client: &str| format!("select count(*) from what where client = '{client}'");
    let folder = folder.path();
    assert_eq!(
        count(folder, &facts("10.0.0.1")).await,
        i64::try_from(most).unwrap(),
        "as many as it may have"
    );
    assert_eq!(count(folder, &facts("10.0.0.2")).await, i64::try_from(most).unwrap() + 1);
    assert_eq!(count(folder, "select sum(count) from rollup where agent = '(others)'").await, 50);
    let own = "select count(*) from audit where record like '%agent/113%'";
    assert_eq!(count(folder, own).await, 1, "the record keeps its own");
}

#[tokio::test]
async fn a606_facts_without_end_leave_room_for_rows_of_pulls() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(Timestamp::from_second(1_800_000_000).unwrap());
    let log = folder.path().join("audit.log");
    let most = 4 * MIB;
    let settings = Settings { retain_max: Some(most), ..kept_for(90 * DAY, &clock, &log) };
    let audit = settings.start(&folder.path().join("audit.db")).await.unwrap();
    for n in 0..8_000 {
        // Each from another address, with a name of its own.
        let (address, user_agent) = (format!("10.0.{}.{}:1", n / 250, n % 250), format!("{n:0250}"));
        let client = Some(Client { address, forwarded: None, names: vec![], user_agent });
        audit.write(Record { client, ..at(&clock) }).await.unwrap();
        if n % 500 == 0 {
            audit.flush().await;
        }
    }
    audit.flush().await;
    let honest = at(&clock);
    let own = format!("select count(*) from audit where id = '{}'", honest.id);
    audit.write(honest).await.unwrap();
    for _ in 0..40 {
        audit.flush().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let folder = folder.path();
    assert_eq!(count(folder, &own).await, 1, "the newest row is there");
    let kept = rows(folder).await;
    assert!(kept > 500, "{kept}");
    let facts = count(folder, "select count(*) from what").await;
    assert!(facts < 6_000, "{facts}");
    let used = "select (p.page_count - f.freelist_count) * s.page_size from pragma_page_count p, \
                pragma_freelist_count f, pragma_page_size s";
    assert!(count(folder, used).await <= i64::try_from(most).unwrap(), "it fits");
}
