//! Whether a test with a client can be run here.

pub use crate::skip::report;

/// Whether all that a test needs is here; if not, the skip is reported as `name` with the first reason.
#[must_use]
pub fn have(name: &str, needs: &[Result<(), String>]) -> bool {
    let missing = needs.iter().find_map(|need| need.as_ref().err());
    if let Some(reason) = missing {
        report(name, reason);
    }
    missing.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_missing_when_every_need_is_met() {
        assert!(have("clients/none", &[Ok(()), Ok(())]));
    }
}
