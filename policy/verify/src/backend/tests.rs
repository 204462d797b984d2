use pullgate_policy::evidence::{LogEntry, LogProof};

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn entered(second: Option<i64>, index: u64) -> Entered {
    let log = "https://log.example".to_owned();
    let entry = LogEntry { log, index: Some(index), by: LogProof::SignedTimestamp };
    Entered { time: second.map(at), entry }
}

fn stamps(seconds: &[i64]) -> Stamps {
    Stamps { times: seconds.iter().map(|second| at(*second)).collect(), ..Stamps::default() }
}

fn vouched(entries: Vec<Entered>, seconds: &[i64]) -> Vouched {
    Vouched::by(entries, &stamps(seconds), evidence::Sct::Verified)
}

#[test]
fn of_several_entries_the_earliest_is_the_time_and_all_are_told() {
    let all = vouched(vec![entered(Some(30), 0), entered(Some(20), 1), entered(Some(25), 2)], &[]);
    assert_eq!((all.time, all.vouchers.clock), (Some(at(20)), Some(Clock::Log)));
    let told: Vec<_> = all.vouchers.entries.iter().map(|entry| entry.index).collect();
    assert_eq!(told, [Some(0), Some(1), Some(2)]);
    assert_eq!(all.vouchers.sct, evidence::Sct::Verified);
    let none = vouched(Vec::new(), &[]);
    assert_eq!((none.time, none.vouchers.clock), (None, None));
}

#[test]
fn a_timestamp_before_the_logs_time_is_the_signatures_and_its_clock_is_named() {
    for (others, time, clock) in [
        (&[19][..], 19, Clock::TimestampAuthority),
        (&[22, 19], 19, Clock::TimestampAuthority),
        (&[20], 20, Clock::Log),
        (&[21], 20, Clock::Log),
        (&[], 20, Clock::Log),
    ] {
        let both = vouched(vec![entered(Some(20), 7)], others);
        assert_eq!((both.time, both.vouchers.clock), (Some(at(time)), Some(clock)), "{others:?}");
        assert_eq!(both.vouchers.entries, [entered(Some(20), 7).entry], "{others:?}");
    }
}

#[test]
fn beside_an_entry_without_a_time_a_timestamp_is_the_time() {
    let both = vouched(vec![entered(None, 7)], &[21]);
    assert_eq!((both.time, both.vouchers.clock), (Some(at(21)), Some(Clock::TimestampAuthority)));
    assert_eq!(both.vouchers.entries, [entered(None, 7).entry]);
    let neither = vouched(vec![entered(None, 7)], &[]);
    assert_eq!((neither.time, neither.vouchers.clock), (None, None));
}
