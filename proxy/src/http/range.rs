//! The `Range` header of a blob request (RFC 9110 §14): one range, or the header is ignored (A028).

use http::HeaderMap;
use http::header::RANGE;

/// The part of a blob that a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// These bytes, first and last.
    Part(u64, u64),
    /// A range that lies beyond the end.
    Unsatisfiable,
    /// All of it.
    Whole,
}

/// Reads the header against the blob's length. Malformed or more than one range: the whole blob.
#[must_use]
pub fn wanted(headers: &HeaderMap, length: u64) -> Wanted {
    let mut values = headers.get_all(RANGE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Wanted::Whole };
    let Some(spec) = value.to_str().ok().and_then(|text| text.strip_prefix("bytes=")) else {
        return Wanted::Whole;
    };
    let Some((first, last)) = spec.split_once('-') else { return Wanted::Whole };
    match (number(first), number(last)) {
        (Number::Some(first), Number::Some(last)) if first > last => Wanted::Whole,
        (Number::Some(first), Number::Some(last)) if first < length => {
            Wanted::Part(first, last.min(length.saturating_sub(1)))
        }
        (Number::Some(first), Number::Empty) if first < length => {
            Wanted::Part(first, length.saturating_sub(1))
        }
        (Number::Some(_), Number::Some(_) | Number::Empty) => Wanted::Unsatisfiable,
        (Number::Empty, Number::Some(0)) => Wanted::Unsatisfiable,
        (Number::Empty, Number::Some(_)) if length == 0 => Wanted::Unsatisfiable,
        (Number::Empty, Number::Some(count)) => {
            Wanted::Part(length.saturating_sub(count), length.saturating_sub(1))
        }
        (Number::Empty, Number::Empty) | (Number::Bad, _) | (_, Number::Bad) => Wanted::Whole,
    }
}

enum Number {
    Bad,
    Empty,
    Some(u64),
}

fn number(text: &str) -> Number {
    if text.is_empty() {
        return Number::Empty;
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Number::Bad;
    }
    // Digits that do not fit are a number beyond every blob's end.
    Number::Some(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a028_one_range_is_honoured_and_nothing_overflows() {
        for (text, expected) in [
            ("bytes=0-9", Wanted::Part(0, 9)),
            ("bytes=5-", Wanted::Part(5, 99)),
            ("bytes=-10", Wanted::Part(90, 99)),
            ("bytes=-1000", Wanted::Part(0, 99)),
            ("bytes=99-1000", Wanted::Part(99, 99)),
            ("bytes=0-99999999999999999999999", Wanted::Part(0, 99)),
            ("bytes=100-", Wanted::Unsatisfiable),
            ("bytes=99999999999999999999999-", Wanted::Unsatisfiable),
            ("bytes=-0", Wanted::Unsatisfiable),
            ("bytes=5-2", Wanted::Whole),
            ("bytes=0-1,3-4", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("items=0-1", Wanted::Whole),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RANGE, text.parse().unwrap());
            assert_eq!(wanted(&headers, 100), expected, "{text}");
        }
        assert_eq!(wanted(&HeaderMap::new(), 100), Wanted::Whole);
    }

    #[test]
    fn a028_of_an_empty_blob_no_range_can_be_served() {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, "bytes=0-".parse().unwrap());
        assert_eq!(wanted(&headers, 0), Wanted::Unsatisfiable);
    }
}
