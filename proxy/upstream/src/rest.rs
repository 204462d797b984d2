//! Leaving an upstream alone that asked for it: 429 with `Retry-After` (A176).

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use tokio::time::Instant;

use crate::fault::Fault;

/// The shortest time that an upstream is left alone, whatever it says.
const REST_MIN: Duration = Duration::from_secs(1);
/// The longest.
const REST_MAX: Duration = Duration::from_secs(60);

/// Until when an upstream is left alone.
#[derive(Default)]
pub(super) struct Rest(Mutex<Option<Instant>>);

impl Rest {
    /// Lets a request go, or answers it in the upstream's stead.
    ///
    /// # Errors
    /// [`Fault::Status`] 429, as the upstream said.
    pub(super) fn is_over(&self, now: Instant) -> Result<(), Fault> {
        let until = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match until {
            Some(until) if now < until => Err(Fault::Status(429)),
            Some(_) | None => Ok(()),
        }
    }

    /// Remembers what an answer asks for.
    pub(super) fn note(&self, status: StatusCode, headers: &HeaderMap, now: Instant) {
        if status != StatusCode::TOO_MANY_REQUESTS {
            return;
        }
        let asked = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        if let Some(seconds) = asked {
            let rest = Duration::from_secs(seconds).clamp(REST_MIN, REST_MAX);
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(now + rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a176_a_rest_is_kept_between_a_second_and_a_minute() {
        let now = Instant::now();
        for (asked, seconds) in [("0", 1), ("5", 5), ("1000000000", 60)] {
            let (rest, mut headers) = (Rest::default(), HeaderMap::new());
            headers.insert(RETRY_AFTER, asked.parse().unwrap());
            rest.note(StatusCode::OK, &headers, now);
            assert_eq!(rest.is_over(now), Ok(()));
            rest.note(StatusCode::TOO_MANY_REQUESTS, &headers, now);
            let end = now + Duration::from_secs(seconds);
            assert_eq!(rest.is_over(end - Duration::from_millis(1)), Err(Fault::Status(429)), "{asked}");
            assert_eq!(rest.is_over(end), Ok(()), "{asked}");
        }
    }

    #[test]
    fn without_a_number_there_is_no_rest() {
        let (rest, mut headers, now) = (Rest::default(), HeaderMap::new(), Instant::now());
        rest.note(StatusCode::TOO_MANY_REQUESTS, &headers, now);
        headers.insert(RETRY_AFTER, "-1".parse().unwrap());
        rest.note(StatusCode::TOO_MANY_REQUESTS, &headers, now);
        assert_eq!(rest.is_over(now), Ok(()));
    }
}
