//! Leaving an upstream alone that asked for it: 429 with `Retry-After` (A176). What rests is one endpoint, for one
//! repository and one kind of request: registries limit manifests apart from blobs, and by login or repository.

use std::collections::HashMap;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use pullgate_policy::oci::Repository;
use tokio::time::Instant;

/// The shortest time that an upstream is left alone, whatever it says.
const REST_MIN: Duration = Duration::from_secs(1);
/// The longest.
const REST_MAX: Duration = Duration::from_secs(60);
/// Rests that one upstream may have at once; further ones are not kept.
const RESTS_MAX: usize = 4_096;

/// A kind of request, as registries limit them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// Content by its digest.
    Blob,
    /// Tags or referrers.
    List,
    /// A manifest.
    Manifest,
}

/// The key of a rest: the endpoint by its place in the configuration, the repository, and the kind of request.
type Whose = (usize, Repository, Kind);

/// The ends of all rests.
#[derive(Default)]
pub(super) struct Rests(Mutex<HashMap<Whose, Instant>>);

impl Rests {
    /// Whether a request has to wait.
    pub(super) fn is_on(&self, endpoint: usize, repository: &Repository, kind: Kind, now: Instant) -> bool {
        let rests = self.0.lock();
        // The common case without rests does not copy the name.
        !rests.is_empty()
            && rests.get(&(endpoint, repository.clone(), kind)).is_some_and(|until| now < *until)
    }

    /// Remembers what an answer asks for.
    pub(super) fn note(
        &self,
        (endpoint, repository, kind): (usize, &Repository, Kind),
        (status, headers): (StatusCode, &HeaderMap),
        now: Instant,
    ) {
        if status != StatusCode::TOO_MANY_REQUESTS {
            return;
        }
        let asked = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        if let Some(seconds) = asked {
            let until = now + Duration::from_secs(seconds).clamp(REST_MIN, REST_MAX);
            let mut rests = self.0.lock();
            if rests.len() >= RESTS_MAX {
                rests.retain(|_, until| now < *until);
            }
            if rests.len() < RESTS_MAX {
                rests.insert((endpoint, repository.clone(), kind), until);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITED: StatusCode = StatusCode::TOO_MANY_REQUESTS;

    fn name(text: &str) -> Repository {
        text.parse().unwrap()
    }

    fn asking(seconds: &str) -> HeaderMap {
        HeaderMap::from_iter([(RETRY_AFTER, seconds.parse().unwrap())])
    }

    #[test]
    fn a176_a_rest_is_kept_between_a_second_and_a_minute() {
        let (now, app) = (Instant::now(), name("r.io/app"));
        for (asked, seconds) in [("0", 1), ("5", 5), ("1000000000", 60)] {
            let rests = Rests::default();
            let is_on = |at| rests.is_on(0, &app, Kind::Manifest, at);
            rests.note((0, &app, Kind::Manifest), (StatusCode::OK, &asking(asked)), now);
            assert!(!is_on(now));
            rests.note((0, &app, Kind::Manifest), (LIMITED, &asking(asked)), now);
            let end = now + Duration::from_secs(seconds);
            assert!(is_on(end - Duration::from_millis(1)), "{asked}");
            assert!(!is_on(end), "{asked}");
        }
    }

    #[test]
    fn a176_a_rest_is_of_one_endpoint_one_repository_and_one_kind() {
        let (rests, now, app) = (Rests::default(), Instant::now(), name("r.io/app"));
        rests.note((0, &app, Kind::Manifest), (LIMITED, &asking("60")), now);
        assert!(rests.is_on(0, &app, Kind::Manifest, now));
        for (endpoint, repository, kind) in
            [(1, "r.io/app", Kind::Manifest), (0, "r.io/other", Kind::Manifest), (0, "r.io/app", Kind::Blob)]
        {
            assert!(!rests.is_on(endpoint, &name(repository), kind, now), "{endpoint} {repository} {kind:?}");
        }
    }

    #[test]
    fn without_a_number_there_is_no_rest() {
        let (rests, now, app) = (Rests::default(), Instant::now(), name("r.io/app"));
        for headers in [HeaderMap::new(), asking("-1"), asking("soon")] {
            rests.note((0, &app, Kind::Blob), (LIMITED, &headers), now);
        }
        assert!(!rests.is_on(0, &app, Kind::Blob, now));
    }

    #[test]
    fn rests_have_a_most_and_those_that_ended_make_room() {
        let (rests, now) = (Rests::default(), Instant::now());
        let note = |n: usize, at| {
            rests.note((0, &name(&format!("r.io/a{n}")), Kind::Blob), (LIMITED, &asking("1")), at);
            rests.is_on(0, &name(&format!("r.io/a{n}")), Kind::Blob, at)
        };
        for n in 0..RESTS_MAX {
            assert!(note(n, now));
        }
        assert!(!note(RESTS_MAX, now));
        assert!(note(RESTS_MAX, now + REST_MIN));
    }
}
