//! The quota of an upstream, from the headers of registries that count pulls.
//!
//! `RateLimit-Limit: 100;w=21600` and `RateLimit-Remaining: 76;w=21600`, as Docker Hub sends them
//! (draft-polli-ratelimit-headers-02). They are for people: nothing is decided by them, and a 429 is met in `rest`.

use parking_lot::Mutex;

use http::HeaderMap;

/// The rest of the quota, as the upstream last reported it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Requests in a window.
    pub limit: u64,
    /// Those that are left in it.
    pub remaining: u64,
}

/// What was last said.
#[derive(Default)]
pub(super) struct Said(Mutex<Option<Quota>>);

impl Said {
    /// Remembers what an answer says, if it says something.
    pub(super) fn note(&self, headers: &HeaderMap) {
        let number = |name: &str| {
            let text = headers.get(name)?.to_str().ok()?;
            text.split([';', ',']).next()?.trim().parse().ok()
        };
        if let (Some(limit), Some(remaining)) = (number("ratelimit-limit"), number("ratelimit-remaining")) {
            *self.0.lock() = Some(Quota { limit, remaining });
        }
    }

    pub(super) fn last(&self) -> Option<Quota> {
        *self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_read_as_docker_hub_writes_it_and_nothing_else_is_one() {
        let said = Said::default();
        let note = |limit: &str, remaining: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("ratelimit-limit", limit.parse().unwrap());
            headers.insert("ratelimit-remaining", remaining.parse().unwrap());
            said.note(&headers);
            said.last().map(|quota| (quota.limit, quota.remaining))
        };
        said.note(&HeaderMap::new());
        assert_eq!(said.last(), None);
        assert_eq!(note("many", "76"), None);
        assert_eq!(note("100;w=21600", "76;w=21600"), Some((100, 76)));
        assert_eq!(note("200", "0"), Some((200, 0)));
        assert_eq!(note("-1", "18446744073709551616"), Some((200, 0)), "what is no number changes nothing");
    }
}
