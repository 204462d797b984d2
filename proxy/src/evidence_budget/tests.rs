use pullgate_policy::limits::MIB;

use super::*;

fn repository(upstream: usize, n: u64) -> Repository {
    format!("r{upstream}.example/org/{n}").parse().unwrap()
}

/// Everything about so many upstreams, as far as there is room: of each as many repositories as get any.
async fn fill(evidence_budget: &EvidenceBudget, upstreams: usize) -> Vec<Reservation> {
    let mut all = Vec::new();
    for upstream in 0..upstreams {
        let mut of_one = Vec::new();
        for n in 0.. {
            let mut held = evidence_budget.nothing(&repository(upstream, n));
            let mut bytes = 0;
            while held.grow(bytes + limits::VERDICT_BYTES).is_ok() {
                bytes += limits::VERDICT_BYTES;
            }
            if bytes == 0 {
                break;
            }
            of_one.push(held);
        }
        all.extend(of_one);
    }
    all
}

#[tokio::test(start_paused = true)]
async fn a547_over_the_limit_a_new_verdict_waits_and_an_old_one_is_told_at_once() {
    let evidence_budget = EvidenceBudget::default();
    let one = repository(0, 0);
    let mut held = evidence_budget.begin(&one).await.unwrap();
    assert_eq!(held.grow(limits::IN_FLIGHT_BYTES_OF_REPOSITORY), Ok(()));
    assert_eq!(held.grow(limits::IN_FLIGHT_BYTES_OF_REPOSITORY + 1), Err(Full));
    assert_eq!(evidence_budget.begin(&one).await.unwrap_err(), Full);
    let waiting = {
        let (evidence_budget, one) = (evidence_budget.clone(), one.clone());
        tokio::spawn(async move { evidence_budget.begin(&one).await.map(|held| held.bytes) })
    };
    tokio::task::yield_now().await;
    drop(held);
    assert_eq!(waiting.await.unwrap(), Ok(limits::VERDICT_BYTES));
    assert_eq!(evidence_budget.held(), 0);
    assert!(evidence_budget.0.lock().of.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a175_whatever_others_hold_there_is_room_for_one_more_upstream_and_repository() {
    let evidence_budget = EvidenceBudget::default();
    let held = fill(&evidence_budget, 5).await;
    assert!(evidence_budget.held() < limits::IN_FLIGHT_BYTES);
    let mut other = evidence_budget.begin(&repository(5, 0)).await.unwrap();
    assert_eq!(other.grow(2 * limits::VERDICT_BYTES), Ok(()));
    drop((held, other));
    // One repository takes what it can; another of its upstream still has room for an attestation of 16 MiB.
    let mut first = evidence_budget.begin(&repository(0, 0)).await.unwrap();
    assert_eq!(first.grow(limits::IN_FLIGHT_BYTES_OF_REPOSITORY), Ok(()));
    let mut second = evidence_budget.begin(&repository(0, 1)).await.unwrap();
    assert_eq!(second.grow(16 * MIB + limits::VERDICT_BYTES), Ok(()));
    let mut third = evidence_budget.begin(&repository(1, 0)).await.unwrap();
    assert_eq!(third.grow(16 * MIB + limits::VERDICT_BYTES), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a547_one_upstream_alone_gets_its_part_of_the_room_and_no_more() {
    let evidence_budget = EvidenceBudget::default();
    let held = fill(&evidence_budget, 1).await;
    let most = limits::IN_FLIGHT_BYTES_OF_ONE;
    assert!(evidence_budget.held_by_fullest() <= most, "{}", evidence_budget.held());
    assert!(evidence_budget.held_by_fullest() > most / 4 * 3, "{}", evidence_budget.held());
    drop(held);
    assert_eq!(evidence_budget.held(), 0);
}
