//! Who gets a place, and whose it was.

use super::*;

fn address(text: &str) -> SocketAddr {
    SocketAddr::new(text.parse().unwrap(), 1)
}

fn crowd(places: usize) -> Arc<Crowd> {
    Crowd::new(places, ConnectionSeries::default())
}

/// Has a place at once.
async fn placed(crowd: &Arc<Crowd>, from: &str) -> Connected {
    let connected = crowd.enter(address(from));
    connected.placed().await.unwrap();
    connected
}

async fn many(crowd: &Arc<Crowd>, from: &str, count: usize) -> Vec<Connected> {
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(placed(crowd, from).await);
    }
    all
}

/// Longer than the silence that protects.
async fn a_while() {
    tokio::time::sleep(limits::CONNECTION_SILENCE).await;
}

fn closed(connected: &Connected) -> bool {
    !connected.crowd.lock().members.contains_key(&connected.id)
}

fn count_closed(all: &[Connected]) -> usize {
    all.iter().filter(|one| closed(one)).count()
}

#[tokio::test(start_paused = true)]
async fn a613_at_the_limit_the_longest_silent_connection_of_the_largest_is_closed() {
    let crowd = crowd(8);
    let other = placed(&crowd, "192.0.2.2").await;
    a_while().await;
    let mut hoard = many(&crowd, "192.0.2.1", 7).await;
    a_while().await;
    // It said something since: the next one is silent for longer.
    hoard[0].pulse().works();
    hoard[0].pulse().awaits();
    a_while().await;
    hoard.push(placed(&crowd, "192.0.2.3").await);
    let gone: Vec<_> = hoard.iter().map(closed).collect();
    assert_eq!(gone, [false, true, false, false, false, false, false, false]);
    assert!(!closed(&other), "it was silent for longer than all of them");
    hoard[1].closed().await;
    assert_eq!(crowd.series.closed_for(ClosedFor::Silence), 1);
    assert_eq!((crowd.series.open.get(), crowd.series.of_one.get(), crowd.series.most.get()), (8, 6, 8));
    drop((hoard, other));
    assert_eq!((crowd.series.open.get(), crowd.series.of_one.get()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a613_one_address_may_have_every_place_while_nobody_else_asks() {
    let crowd = crowd(100);
    let all = many(&crowd, "192.0.2.1", 100).await;
    for one in &all {
        one.pulse().works();
    }
    // One more of the same waits until one leaves, and closes none that is at work.
    let next = crowd.enter(address("192.0.2.1"));
    let waits = next.placed();
    tokio::pin!(waits);
    assert!(tokio::time::timeout(limits::HEADER_TIMEOUT / 2, waits.as_mut()).await.is_err());
    assert_eq!(count_closed(&all), 0);
    drop(all);
    waits.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a613_who_finds_no_place_is_closed_when_the_time_of_a_head_is_over() {
    let crowd = crowd(1);
    let only = placed(&crowd, "192.0.2.1").await;
    only.pulse().works();
    assert!(crowd.enter(address("192.0.2.2")).placed().await.is_err());
    assert!(crowd.enter(address("192.0.2.1")).placed().await.is_err());
    assert!(!closed(&only));
}

#[tokio::test(start_paused = true)]
async fn a613_over_its_share_one_that_is_at_work_gives_way_and_within_it_none() {
    let share = 16 / limits::CONNECTIONS_SHARES;
    for (busy, gives_way) in [(share + 1, true), (share, false)] {
        let crowd = crowd(16);
        let hoard = many(&crowd, "192.0.2.1", busy).await;
        let mut others = Vec::new();
        while others.len() < 16 - busy {
            others.push(placed(&crowd, &format!("192.0.2.{}", 2 + others.len() / 4)).await);
        }
        for one in hoard.iter().chain(&others) {
            one.pulse().works();
        }
        a_while().await;
        hoard[1].pulse().moved();
        let next = crowd.enter(address("192.0.2.9"));
        assert_eq!(next.placed().await.is_ok(), gives_way, "{busy}");
        let gone: Vec<_> = hoard.iter().map(closed).collect();
        assert_eq!(
            (gone[1], count_closed(&hoard), count_closed(&others)),
            (false, usize::from(gives_way), 0)
        );
        // Who has more than the share takes nobody's.
        assert!(crowd.enter(address("192.0.2.1")).placed().await.is_err());
    }
}

/// Whether one of another address has a place, where so many addresses have so many each, all at work.
async fn finds_a_place(addresses: u8, each: usize) -> bool {
    let crowd = crowd(usize::from(addresses) * each);
    let mut all = Vec::new();
    for address in 1..=addresses {
        all.extend(many(&crowd, &format!("192.0.2.{address}"), each).await);
    }
    all.iter().for_each(|one| one.pulse().works());
    a_while().await;
    let next = crowd.enter(address("198.51.100.1"));
    let placed = next.placed().await.is_ok();
    assert_eq!(count_closed(&all), usize::from(placed));
    placed
}

#[tokio::test(start_paused = true)]
async fn a613_where_many_addresses_share_all_places_another_one_finds_its_place() {
    let shares = u8::try_from(limits::CONNECTIONS_SHARES).unwrap();
    for addresses in [1, shares, shares + 1, 2 * shares] {
        assert!(finds_a_place(addresses, limits::CONNECTIONS_KEPT + 1).await, "{addresses}");
    }
}

#[tokio::test(start_paused = true)]
async fn a613_what_an_address_keeps_is_taken_by_none_however_many_they_are() {
    for (each, found) in [(limits::CONNECTIONS_KEPT, false), (limits::CONNECTIONS_KEPT + 1, true)] {
        assert_eq!(finds_a_place(40, each).await, found, "{each}");
    }
}

#[tokio::test(start_paused = true)]
async fn a613_one_that_was_just_accepted_or_answered_is_not_silent_yet() {
    let crowd = crowd(4);
    let all = many(&crowd, "192.0.2.1", 4).await;
    let next = crowd.enter(address("192.0.2.1"));
    let begun = Instant::now();
    next.placed().await.unwrap();
    assert!(
        (limits::CONNECTION_SILENCE..=limits::CONNECTION_SILENCE + LOOK_AGAIN).contains(&begun.elapsed())
    );
    assert_eq!(count_closed(&all), 1);
}

#[tokio::test(start_paused = true)]
async fn a613_so_many_wait_for_a_place_and_one_more_closes_the_longest_waiting() {
    let crowd = crowd(1);
    let only = placed(&crowd, "192.0.2.1").await;
    only.pulse().works();
    let first = crowd.enter(address("192.0.2.2"));
    let waiting: Vec<_> =
        (0..limits::CONNECTIONS_WAITING).map(|_| crowd.enter(address("192.0.2.1"))).collect();
    assert_eq!((closed(&first), count_closed(&waiting)), (false, 1));
    assert_eq!(crowd.series.closed_for(ClosedFor::Queue), 1);
    assert!(!closed(&only));
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_closed_where_no_descriptor_is_left() {
    let crowd = crowd(8);
    let all = many(&crowd, "192.0.2.1", 2).await;
    all[0].pulse().works();
    crowd.relieve();
    assert_eq!(count_closed(&all), 0);
    a_while().await;
    crowd.relieve();
    crowd.relieve();
    assert_eq!((closed(&all[0]), closed(&all[1])), (false, true));
}

#[tokio::test(start_paused = true)]
async fn the_gate_is_empty_once_all_have_left() {
    let crowd = crowd(8);
    let all = many(&crowd, "192.0.2.1", 3).await;
    let gone = crowd.gone();
    tokio::pin!(gone);
    assert!(tokio::time::timeout(Duration::from_secs(1), gone.as_mut()).await.is_err());
    drop(all);
    gone.await;
    crowd.drain();
    placed(&crowd, "192.0.2.1").await.draining().await;
}
