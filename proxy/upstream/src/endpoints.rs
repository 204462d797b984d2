//! The endpoints of one upstream: in the order of the configuration, and those that failed a moment ago last, so that a dead
//! one does not cost every pull its time-out.

use parking_lot::{Mutex, MutexGuard};

use crate::limits;
use tokio::time::Instant;

use crate::origin::{Origin, Scheme};

/// Endpoints and how they do.
pub(super) struct Endpoints {
    urls: Vec<Origin>,
    rests: Mutex<Vec<Rest>>,
}

/// How one does.
#[derive(Debug, Clone, Copy, Default)]
struct Rest {
    /// Failures since the last answer.
    failures: u32,
    /// Until when it is asked last.
    until: Option<Instant>,
}

impl Rest {
    fn is_on(self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

impl Endpoints {
    /// Leaves out plain HTTP endpoints behind an endpoint with TLS: an attacker who blocks TLS must not get a
    /// connection that he can read (A172).
    pub(super) fn new(urls: &[Origin]) -> Self {
        let secure = urls.iter().position(|url| url.scheme == Scheme::Https).unwrap_or(urls.len());
        let kept =
            |(n, url): (usize, &Origin)| (n < secure || url.scheme == Scheme::Https).then(|| url.clone());
        let urls: Vec<_> = urls.iter().enumerate().filter_map(kept).collect();
        Self { rests: Mutex::new(vec![Rest::default(); urls.len()]), urls }
    }

    /// The endpoints in the order in which they are asked.
    pub(super) fn in_turn(&self, now: Instant) -> Vec<(usize, &Origin)> {
        let rests = self.rests();
        let mut turn: Vec<_> = self.urls.iter().enumerate().collect();
        // Stable: the configuration's order is kept among the good and among the others.
        turn.sort_by_key(|(n, _)| rests.get(*n).is_some_and(|rest| rest.is_on(now)));
        turn
    }

    /// It answered.
    pub(super) fn answered(&self, n: usize) {
        if let Some(rest) = self.rests().get_mut(n)
            && rest.failures > 0
        {
            *rest = Rest::default();
            if let Some(url) = self.urls.get(n) {
                tracing::info!(endpoint = %url, "an endpoint answers again");
            }
        }
    }

    /// It could not be asked, or failed itself.
    pub(super) fn failed(&self, n: usize, now: Instant) {
        if self.urls.len() < 2 {
            return;
        }
        if let (Some(rest), Some(url)) = (self.rests().get_mut(n), self.urls.get(n)) {
            if rest.failures == 0 {
                tracing::warn!(endpoint = %url, "an endpoint does not answer: for a while it is asked last");
            }
            let doubled = limits::ENDPOINT_REST.saturating_mul(1 << rest.failures.min(8));
            rest.failures = rest.failures.saturating_add(1);
            rest.until = Some(now + doubled.min(limits::ENDPOINT_REST_MAX));
        }
    }

    /// How many are asked last.
    pub(super) fn resting(&self, now: Instant) -> usize {
        self.rests().iter().filter(|rest| rest.is_on(now)).count()
    }

    fn rests(&self) -> MutexGuard<'_, Vec<Rest>> {
        self.rests.lock()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn endpoints(urls: &[&str]) -> Endpoints {
        let origins: Vec<_> = urls.iter().map(|url| Origin::of(&url.parse().unwrap()).unwrap()).collect();
        Endpoints::new(&origins)
    }

    fn turn(endpoints: &Endpoints, now: Instant) -> Vec<String> {
        endpoints.in_turn(now).iter().map(|(_, url)| url.host.clone()).collect()
    }

    #[test]
    fn an_endpoint_that_failed_is_asked_last_for_ten_seconds_then_longer() {
        let (of, now) = (endpoints(&["https://a", "https://b", "https://c"]), Instant::now());
        assert_eq!(turn(&of, now), ["a", "b", "c"]);
        of.failed(0, now);
        assert_eq!(turn(&of, now), ["b", "c", "a"]);
        let just_before = limits::ENDPOINT_REST - Duration::from_millis(1);
        assert_eq!(
            (turn(&of, now + just_before), of.resting(now)),
            (["b", "c", "a"].map(str::to_owned).to_vec(), 1)
        );
        assert_eq!(turn(&of, now + limits::ENDPOINT_REST), ["a", "b", "c"]);
        for _ in 0..40 {
            of.failed(0, now);
        }
        assert_eq!(turn(&of, now + limits::ENDPOINT_REST_MAX - Duration::from_millis(1)), ["b", "c", "a"]);
        assert_eq!(turn(&of, now + limits::ENDPOINT_REST_MAX), ["a", "b", "c"]);
        of.answered(0);
        assert_eq!((turn(&of, now), of.resting(now)), (["a", "b", "c"].map(str::to_owned).to_vec(), 0));
    }

    #[test]
    fn where_all_failed_all_are_asked_in_their_order() {
        let (of, now) = (endpoints(&["https://a", "https://b"]), Instant::now());
        of.failed(1, now);
        of.failed(0, now);
        assert_eq!(turn(&of, now), ["a", "b"]);
        let (alone, now) = (endpoints(&["https://a"]), Instant::now());
        alone.failed(0, now);
        assert_eq!(alone.resting(now), 0, "there is nobody else to ask");
    }

    #[test]
    fn a172_no_failure_of_tls_leads_to_an_endpoint_in_the_clear() {
        let (of, now) = (endpoints(&["http://a", "https://b", "http://c", "https://d"]), Instant::now());
        assert_eq!(turn(&of, now), ["a", "b", "d"]);
        of.failed(1, now);
        of.failed(2, now);
        assert_eq!(turn(&of, now), ["a", "b", "d"]);
    }
}
