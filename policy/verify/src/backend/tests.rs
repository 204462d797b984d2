use pullgate_policy::evidence::{LogEntry, LogProof};

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn entered(second: i64, index: u64) -> Entered {
    let log = "https://log.example".to_owned();
    Entered {
        time: Some(at(second)),
        entry: LogEntry { log, index: Some(index), by: LogProof::SignedTimestamp },
    }
}

/// What a timestamp authority alone says.
fn stamped(second: Option<i64>) -> Vouched {
    let time = second.map(at);
    let clock = time.map(|_| Clock::TimestampAuthority);
    Vouched { time, vouchers: Vouchers { entries: Vec::new(), clock, sct: evidence::Sct::NotAsked } }
}

#[test]
fn of_several_entries_the_earliest_is_the_time_and_all_are_told() {
    let vouched =
        Vouched::by_logs(vec![entered(30, 0), entered(20, 1), entered(25, 2)], evidence::Sct::Verified);
    assert_eq!((vouched.time, vouched.vouchers.clock), (Some(at(20)), Some(Clock::Log)));
    let told: Vec<_> = vouched.vouchers.entries.iter().map(|entry| entry.index).collect();
    assert_eq!(told, [Some(0), Some(1), Some(2)]);
    let none = Vouched::by_logs(Vec::new(), evidence::Sct::NotAsked);
    assert_eq!((none.time, none.vouchers.clock), (None, None));
}

#[test]
fn a_timestamp_before_the_logs_time_is_the_signatures_and_its_clock_is_named() {
    for (other, time, clock) in [
        (Some(19), 19, Clock::TimestampAuthority),
        (Some(20), 20, Clock::Log),
        (Some(21), 20, Clock::Log),
        (None, 20, Clock::Log),
    ] {
        let logged = Vouched::by_logs(vec![entered(20, 7)], evidence::Sct::Verified);
        let both = logged.and(&stamped(other));
        assert_eq!((both.time, both.vouchers.clock), (Some(at(time)), Some(clock)), "{other:?}");
        // What the log and the certificate log said stays as it is.
        assert_eq!(both.vouchers.entries, [entered(20, 7).entry], "{other:?}");
        assert_eq!(both.vouchers.sct, evidence::Sct::Verified, "{other:?}");
    }
}

#[test]
fn beside_an_entry_without_a_time_a_timestamp_is_the_time() {
    let entry = || Entered { time: None, ..entered(0, 7) };
    let logged = || Vouched::by_logs(vec![entry()], evidence::Sct::Verified);
    let both = logged().and(&stamped(Some(21)));
    assert_eq!((both.time, both.vouchers.clock), (Some(at(21)), Some(Clock::TimestampAuthority)));
    assert_eq!((both.vouchers.entries, both.vouchers.sct), (vec![entry().entry], evidence::Sct::Verified));
    let neither = logged().and(&stamped(None));
    assert_eq!((neither.time, neither.vouchers.clock), (None, None));
}
