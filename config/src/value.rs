//! Durations, sizes and dates as they are written in the files (design §5).

use std::time::Duration;

use jiff::civil;
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, ToSpan as _};
use toml::value::{Datetime, Offset as TomlOffset};

use crate::code::Code;
use crate::reader::{At, Context, Node, Table};

/// One integer and `s`, `m`, `h` or `d`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let seconds = match unit {
        "s" => number,
        "m" => number.checked_mul(60)?,
        "h" => number.checked_mul(3_600)?,
        "d" => number.checked_mul(86_400)?,
        _ => return None,
    };
    // Beyond what a time stamp can hold, an end would be no end.
    (seconds <= 100 * 365 * 86_400).then(|| Duration::from_secs(seconds))
}

/// One integer and `B`, `KiB`, `MiB`, `GiB` or `TiB`.
pub(crate) fn size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let shift = match unit {
        "B" => 0,
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

impl Table {
    /// A duration that is not zero, at most `most`.
    pub(crate) fn duration(
        &mut self,
        context: &mut Context<'_>,
        key: &'static str,
        most: Option<Duration>,
    ) -> Option<Duration> {
        let text = self.string(context, key)?;
        let Some(value) = duration(&text.value).filter(|value| !value.is_zero()) else {
            let message = format!("`{key}` must be one positive integer and its unit");
            context.hinted(&text.span, Code::DurationInvalid, message, "for example \"30s\", \"15m\", \"24h\", \"90d\"");
            return None;
        };
        if let Some(most) = most.filter(|most| value > *most) {
            let message = format!("`{key}` may be at most {} s", most.as_secs());
            context.fault(&text.span, Code::LimitExceeded, message);
            return None;
        }
        Some(value)
    }

    /// A size in bytes.
    pub(crate) fn size(&mut self, context: &mut Context<'_>, key: &'static str) -> Option<u64> {
        let text = self.string(context, key)?;
        let value = size(&text.value);
        if value.is_none() {
            let message = format!("`{key}` must be one integer and its unit");
            context.hinted(&text.span, Code::SizeInvalid, message, "for example \"512MiB\", \"20GiB\"");
        }
        value
    }

    /// The first moment at which an end has passed: that day's end in UTC, or the date-time itself.
    pub(crate) fn end(&mut self, context: &mut Context<'_>, key: &'static str) -> Option<At<Timestamp>> {
        let value = self.take(key)?;
        let moment = match &value.value {
            Node::Date(date) => end_of(date),
            Node::Array(_) | Node::Boolean(_) | Node::Float | Node::Integer(_) | Node::String(_) | Node::Table(_) => None,
        };
        if moment.is_none() {
            let message = format!("`{key}` must be a date, or a date-time with its offset");
            context.hinted(&value.span, Code::DateInvalid, message, "for example 2027-01-31 or 2027-01-31T18:00:00Z");
        }
        moment.map(|moment| At { value: moment, span: value.span })
    }
}

fn end_of(date: &Datetime) -> Option<Timestamp> {
    let day = date.date?;
    let day = civil::date(i16::try_from(day.year).ok()?, i8::try_from(day.month).ok()?, i8::try_from(day.day).ok()?);
    match (date.time, date.offset) {
        (None, None) => day.checked_add(1.day()).ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp()),
        (Some(time), Some(offset)) => {
            let part = |n: u8| i8::try_from(n).ok();
            let nanosecond = i32::try_from(time.nanosecond.unwrap_or(0)).ok()?;
            let time = civil::time(part(time.hour)?, part(time.minute)?, part(time.second.unwrap_or(0))?, nanosecond);
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
        for text in ["", "90", "d", "-1s", "1.5h", "1h30m", "1 h", "1w", "99999999999d", "10000y", "40000d"] {
            assert_eq!(duration(text), None, "{text}");
        }
        assert_eq!(size("20GiB"), Some(20 << 30));
        for text in ["20", "20GB", "1.5GiB", "GiB", "99999999999TiB"] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn an_end_is_the_end_of_that_day_or_the_moment_itself() {
        let end = |text: &str| end_of(&text.parse().unwrap()).map(|moment| moment.to_string());
        assert_eq!(end("2027-01-31").as_deref(), Some("2027-02-01T00:00:00Z"));
        assert_eq!(end("2027-01-31T18:00:00+02:00").as_deref(), Some("2027-01-31T16:00:00Z"));
        assert_eq!(end("2027-01-31T18:00:00"), None);
        assert_eq!(end("18:00:00"), None);
    }
}
