//! Durations, sizes and dates as they are written in the files.

use std::time::Duration;

use jiff::civil;
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, ToSpan as _};
use toml::value::{Datetime, Offset as TomlOffset};

use crate::code::Code;
use crate::context::Context;
use crate::reader::{At, Node, Table};

/// Whether a duration may be zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zero {
    Allowed,
    /// With it nothing could ever hold (A416).
    Refused,
}

/// A hundred years: a longer duration is no limit, and overflows timestamps.
const LONGEST: u64 = 100 * 365 * 86_400;

/// One integer and `s`, `m`, `h` or `d`.
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let seconds = match unit {
        "s" => number,
        "m" => number.checked_mul(60)?,
        "h" => number.checked_mul(3_600)?,
        "d" => number.checked_mul(86_400)?,
        _ => return None,
    };
    (seconds <= LONGEST).then(|| Duration::from_secs(seconds))
}

/// One integer and `KiB`, `MiB`, `GiB` or `TiB`.
fn size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let shift = match unit {
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit))
}

/// A duration as people write it: in the largest unit that divides it, a single day in hours.
pub(crate) fn written(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let fits = |length: u64| seconds.is_multiple_of(length) && seconds > 0 && seconds != 86_400;
    let unit = units.into_iter().find(|(length, _)| fits(*length) || (seconds == 86_400 && *length == 3_600));
    unit.map_or_else(|| format!("{seconds}s"), |(length, name)| format!("{}{name}", seconds / length))
}

impl Table {
    /// A duration of at most `most`.
    pub(crate) fn duration(
        &mut self,
        context: &mut Context<'_, '_>,
        key: &'static str,
        zero: Zero,
        most: Option<Duration>,
    ) -> Option<Duration> {
        let text = self.string(context, key)?;
        let Some(value) = duration(&text.value) else {
            let message = format!("`{key}` must be one whole number and its unit: s, m, h or d");
            let hint = "for example \"30s\", \"15m\", \"24h\", \"90d\"";
            context.advise(&text.span, Code::DurationInvalid, message, hint);
            return None;
        };
        if value.is_zero() && zero == Zero::Refused {
            let message = format!("`{key}` must be more than zero, or nothing could ever hold");
            context.report(&text.span, Code::DurationInvalid, message);
            return None;
        }
        if let Some(most) = most.filter(|most| value > *most) {
            let message = format!("`{key}` may be at most \"{}\"", written(most));
            context.report(&text.span, Code::LimitExceeded, message);
            return None;
        }
        Some(value)
    }

    /// A size in bytes.
    pub(crate) fn size(&mut self, context: &mut Context<'_, '_>, key: &'static str) -> Option<u64> {
        let text = self.string(context, key)?;
        let value = size(&text.value);
        if value.is_none() {
            let message = format!("`{key}` must be one whole number and its unit: KiB, MiB, GiB or TiB");
            context.advise(&text.span, Code::SizeInvalid, message, "for example \"512MiB\", \"20GiB\"");
        }
        value
    }

    /// The first moment at which an end has passed: that day's end in UTC, or the date-time itself.
    pub(crate) fn end(&mut self, context: &mut Context<'_, '_>, key: &'static str) -> Option<At<Timestamp>> {
        let value = self.take(key)?;
        let moment = if let Node::Date(date) = &value.value { end_of(date) } else { None };
        if moment.is_none() {
            let message = format!("`{key}` must be a date, or a date-time with its offset");
            let hint = "without quotes: 2027-01-31 or 2027-01-31T18:00:00Z";
            context.advise(&value.span, Code::DateInvalid, message, hint);
        }
        moment.map(|moment| At { value: moment, span: value.span })
    }
}

fn end_of(date: &Datetime) -> Option<Timestamp> {
    let day = date.date?;
    let year = i16::try_from(day.year).ok()?;
    let day = civil::Date::new(year, i8::try_from(day.month).ok()?, i8::try_from(day.day).ok()?).ok()?;
    match (date.time, date.offset) {
        (None, None) => {
            let next = day.checked_add(1.day()).ok()?.to_zoned(TimeZone::UTC).ok()?;
            Some(next.timestamp())
        }
        (Some(time), Some(offset)) => {
            let part = |n: u8| i8::try_from(n).ok();
            let nanosecond = i32::try_from(time.nanosecond.unwrap_or(0)).ok()?;
            let second = part(time.second.unwrap_or(0))?;
            let time = civil::Time::new(part(time.hour)?, part(time.minute)?, second, nanosecond).ok()?;
            let offset = match offset {
                TomlOffset::Z => Offset::UTC,
                TomlOffset::Custom { minutes } => Offset::from_seconds(i32::from(minutes) * 60).ok()?,
            };
            offset.to_timestamp(day.to_datetime(time)).ok()
        }
        (None, Some(_)) | (Some(_), None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a416_durations_and_sizes_carry_their_unit() {
        assert_eq!(duration("90d"), Some(Duration::from_secs(90 * 86_400)));
        assert_eq!(duration("15m"), Some(Duration::from_secs(900)));
        for text in
            ["", "90", "d", "-1s", "+1s", "1.5h", "1h30m", "1 h", "1w", "99999999999d", "10000y", "40000d"]
        {
            assert_eq!(duration(text), None, "{text}");
        }
        assert_eq!(size("20GiB"), Some(20 << 30));
        for text in ["20", "20GB", "1.5GiB", "GiB", "99999999999TiB", "1B"] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn a_duration_is_written_as_it_was_read() {
        for text in ["0s", "30s", "15m", "24h", "90d", "61s"] {
            let read = duration(text).unwrap();
            assert_eq!(duration(&written(read)), Some(read), "{text}");
        }
        assert_eq!(written(Duration::from_secs(86_400)), "24h");
    }

    #[test]
    fn an_end_is_the_end_of_that_day_or_the_moment_itself() {
        let end = |text: &str| end_of(&text.parse().unwrap()).map(|moment| moment.to_string());
        assert_eq!(end("2027-01-31").as_deref(), Some("2027-02-01T00:00:00Z"));
        assert_eq!(end("2027-12-31").as_deref(), Some("2028-01-01T00:00:00Z"));
        assert_eq!(end("2027-01-31T18:00:00+02:00").as_deref(), Some("2027-01-31T16:00:00Z"));
        for none in ["2027-01-31T18:00:00", "18:00:00"] {
            assert_eq!(end(none), None, "{none}");
        }
    }
}
