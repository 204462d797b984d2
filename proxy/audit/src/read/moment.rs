//! Times as people write them.

use jiff::Timestamp;
use jiff::civil::Date;

/// A time as people write it: `30d` ago, a day in UTC, or a date-time with its offset.
///
/// # Errors
/// A text that is no time, with the forms that are.
pub fn moment(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    const SECONDS: [(char, i64); 4] = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)];
    for (unit, seconds) in SECONDS {
        if let Some(Ok(number)) = text.strip_suffix(unit).map(str::parse::<i64>) {
            let ago = Timestamp::from_second(now.as_second().saturating_sub(number.saturating_mul(seconds)));
            return ago.map_err(|error| error.to_string());
        }
    }
    // A date-time reads as a day too, without its hours.
    if let (false, Ok(day)) = (text.contains(['T', 't', ' ']), text.parse::<Date>()) {
        return day
            .to_zoned(jiff::tz::TimeZone::UTC)
            .map(|at| at.timestamp())
            .map_err(|error| error.to_string());
    }
    text.parse().map_err(|_| format!("`{text}` is no time: write 30d, 2026-11-30, or 2026-11-30T12:00:00Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_an_age_a_day_or_a_moment_and_nothing_else() {
        let now: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("90s", "2026-11-30T11:58:30Z"),
            ("2h", "2026-11-30T10:00:00Z"),
            ("30d", "2026-10-31T12:00:00Z"),
            ("2026-11-01", "2026-11-01T00:00:00Z"),
            ("2026-11-01T10:00:00+02:00", "2026-11-01T08:00:00Z"),
        ] {
            assert_eq!(moment(text, now), Ok(expected.parse().unwrap()), "{text}");
        }
        for text in ["", "yesterday", "30", "2026-13-01", "1w"] {
            assert!(moment(text, now).is_err(), "{text}");
        }
    }
}
