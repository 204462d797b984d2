//! One CBOR reader for everything that is judged: COSE envelopes (RFC 8949, section 4.2.1).
//!
//! Two readers that disagree are an attack, as they are of JSON (A126): lengths are definite, numbers and lengths in their
//! shortest form, no label stands twice, and nothing stands behind the value.

use crate::limits;

/// A value; its bytes and texts stay where they were read.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// A list.
    Array(Vec<Self>),
    /// `true` or `false`.
    Bool(bool),
    /// A byte string.
    Bytes(&'a [u8]),
    /// A number of half, single or double precision.
    Float(f64),
    /// A whole number.
    Int(i128),
    /// Labels and their values, in the order in which they stand.
    Map(Vec<(Label<'a>, Self)>),
    /// `null`.
    Null,
    /// A value under a tag.
    Tag(u64, Box<Self>),
    /// A text.
    Text(&'a str),
}

/// A label of a map: a whole number or a text (RFC 9052, section 1.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label<'a> {
    /// A number.
    Int(i128),
    /// A text.
    Text(&'a str),
}

/// Why bytes are not the CBOR that may be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CborFault {
    /// A label of one map stands twice, or is of a kind that is none.
    #[error("a map has a label twice, or one that is neither a number nor a text")]
    Ambiguous,
    /// Deeper than `cbor_depth`.
    #[error("nested deeper than {} levels", limits::CBOR_DEPTH)]
    Depth,
    /// More values than `cbor_items`.
    #[error("more than {} values", limits::CBOR_ITEMS)]
    Items,
    /// An indefinite length, or a number or length that is not in its shortest form.
    #[error("a length without an end, or a number that is not in its shortest form")]
    NotShortest,
    /// Not CBOR, of a kind that is not read, or followed by something else.
    #[error("not valid CBOR")]
    Syntax,
}

/// Reads one value, which is all of the bytes.
///
/// # Errors
/// [`CborFault`] names the first fault.
pub fn parse(bytes: &[u8]) -> Result<Value<'_>, CborFault> {
    let mut reader = Reader { rest: bytes, items: limits::CBOR_ITEMS };
    let value = reader.value(0)?;
    if reader.rest.is_empty() { Ok(value) } else { Err(CborFault::Syntax) }
}

impl<'a> Value<'a> {
    /// The value of a label; none where this is no map, or has it not.
    #[must_use]
    pub fn get(&self, label: Label<'_>) -> Option<&Self> {
        let Self::Map(members) = self else { return None };
        members.iter().find(|(known, _)| *known == label).map(|(_, value)| value)
    }

    /// The bytes of a byte string.
    #[must_use]
    pub fn bytes(&self) -> Option<&'a [u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    /// The text of a text.
    #[must_use]
    pub fn text(&self) -> Option<&'a str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    /// How many values may still come.
    items: usize,
}

/// The kind of a value and the number behind it: itself, a length, or a tag (RFC 8949, section 3).
struct Head {
    major: u8,
    /// The five bits behind the kind.
    short: u8,
    number: u64,
}

const SHORT: u8 = 0x1f;

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Value<'a>, CborFault> {
        if depth >= limits::CBOR_DEPTH {
            return Err(CborFault::Depth);
        }
        self.items = self.items.checked_sub(1).ok_or(CborFault::Items)?;
        let head = self.head()?;
        Ok(match head.major {
            0 => Value::Int(i128::from(head.number)),
            1 => Value::Int(-1 - i128::from(head.number)),
            2 => Value::Bytes(self.take(head.number)?),
            3 => Value::Text(std::str::from_utf8(self.take(head.number)?).map_err(|_| CborFault::Syntax)?),
            4 => {
                let mut values = Vec::new();
                for _ in 0..self.count(head.number)? {
                    values.push(self.value(depth + 1)?);
                }
                Value::Array(values)
            }
            5 => self.map(head.number, depth)?,
            6 => Value::Tag(head.number, Box::new(self.value(depth + 1)?)),
            _ => simple(&head)?,
        })
    }

    fn map(&mut self, length: u64, depth: usize) -> Result<Value<'a>, CborFault> {
        let mut members: Vec<(Label<'a>, Value<'a>)> = Vec::new();
        for _ in 0..self.count(length)? {
            let label = match self.value(depth + 1)? {
                Value::Int(number) => Label::Int(number),
                Value::Text(text) => Label::Text(text),
                Value::Array(_)
                | Value::Bool(_)
                | Value::Bytes(_)
                | Value::Float(_)
                | Value::Map(_)
                | Value::Null
                | Value::Tag(..) => return Err(CborFault::Ambiguous),
            };
            if members.iter().any(|(known, _)| *known == label) {
                return Err(CborFault::Ambiguous);
            }
            members.push((label, self.value(depth + 1)?));
        }
        Ok(Value::Map(members))
    }

    /// How many values follow: no more than may still come.
    fn count(&self, length: u64) -> Result<usize, CborFault> {
        usize::try_from(length).ok().filter(|count| *count <= self.items).ok_or(CborFault::Items)
    }

    fn head(&mut self) -> Result<Head, CborFault> {
        let first = *self.take(1)?.first().ok_or(CborFault::Syntax)?;
        let (major, short) = (first >> 5, first & SHORT);
        let width = match short {
            0..=23 => return Ok(Head { major, short, number: u64::from(short) }),
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            _ => return Err(CborFault::NotShortest),
        };
        let number = self.take(width)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        // A float takes the width that its precision has; a simple value has one form.
        let least = match width {
            1 => 24,
            2 => 1 << 8,
            4 => 1 << 16,
            _ => 1 << 32,
        };
        if major != 7 && number < least {
            return Err(CborFault::NotShortest);
        }
        Ok(Head { major, short, number })
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], CborFault> {
        let length = usize::try_from(length).map_err(|_| CborFault::Syntax)?;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(CborFault::Syntax)?;
        self.rest = rest;
        Ok(taken)
    }
}

fn simple<'a>(head: &Head) -> Result<Value<'a>, CborFault> {
    let bits = |number: u64| u32::try_from(number).map_err(|_| CborFault::Syntax);
    Ok(match head.short {
        20 => Value::Bool(false),
        21 => Value::Bool(true),
        22 => Value::Null,
        25 => Value::Float(half(head.number)),
        26 => Value::Float(f64::from(f32::from_bits(bits(head.number)?))),
        27 => Value::Float(f64::from_bits(head.number)),
        _ => return Err(CborFault::Syntax),
    })
}

/// A number of half precision (RFC 8949, appendix D).
fn half(bits: u64) -> f64 {
    let (exponent, mantissa) = (bits >> 10 & 0x1f, bits & 0x3ff);
    let mantissa = f64::from(u16::try_from(mantissa).unwrap_or_default());
    let magnitude = match exponent {
        0 => mantissa * 2f64.powi(-24),
        31 if mantissa == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (mantissa + 1024.0) * 2f64.powi(i32::try_from(exponent).unwrap_or_default() - 25),
    };
    if bits >> 15 & 1 == 1 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(hex: &str) -> Result<String, CborFault> {
        let bytes = hex::decode(hex).unwrap();
        parse(&bytes).map(|value| format!("{value:?}"))
    }

    #[test]
    fn a670_values_of_each_kind_are_read() {
        for (hex, value) in [
            ("00", "Int(0)"),
            ("17", "Int(23)"),
            ("1818", "Int(24)"),
            ("1b000000e8d4a51000", "Int(1000000000000)"),
            ("3824", "Int(-37)"),
            ("3bffffffffffffffff", "Int(-18446744073709551616)"),
            ("4401020304", "Bytes([1, 2, 3, 4])"),
            ("6449455446", "Text(\"IETF\")"),
            ("820102", "Array([Int(1), Int(2)])"),
            ("a101616f", "Map([(Int(1), Text(\"o\"))])"),
            ("c11a514b67b0", "Tag(1, Int(1363896240))"),
            ("c1fb41d452d9ec200000", "Tag(1, Float(1363896240.5))"),
            ("f93c00", "Float(1.0)"),
            ("f9c400", "Float(-4.0)"),
            ("f90001", "Float(5.960464477539063e-8)"),
            ("fa47c35000", "Float(100000.0)"),
            ("f5", "Bool(true)"),
            ("f6", "Null"),
        ] {
            assert_eq!(read(hex).as_deref(), Ok(value), "{hex}");
        }
    }

    #[test]
    fn a670_a_form_that_another_reader_takes_otherwise_is_refused() {
        for (hex, fault) in [
            ("9f01ff", CborFault::NotShortest),
            ("bf0101ff", CborFault::NotShortest),
            ("5f4101ff", CborFault::NotShortest),
            ("7f6161ff", CborFault::NotShortest),
            ("1817", CborFault::NotShortest),
            ("190018", CborFault::NotShortest),
            ("1a0000ffff", CborFault::NotShortest),
            ("580101", CborFault::NotShortest),
            ("9801f6", CborFault::NotShortest),
            ("a201010102", CborFault::Ambiguous),
            ("a2616101616102", CborFault::Ambiguous),
            ("a1f601", CborFault::Ambiguous),
            ("a1410101", CborFault::Ambiguous),
            ("0000", CborFault::Syntax),
            ("", CborFault::Syntax),
            ("4401", CborFault::Syntax),
            ("61ff", CborFault::Syntax),
            ("f7", CborFault::Syntax),
            ("f818", CborFault::Syntax),
            ("ff", CborFault::NotShortest),
            ("9affffffff", CborFault::Items),
            ("5bffffffffffffffff", CborFault::Syntax),
        ] {
            assert_eq!(read(hex), Err(fault), "{hex}");
        }
        assert_eq!(read("a2010101616101").ok(), None);
        assert!(read("a20101616101").is_ok(), "a number and a text are two labels");
    }

    #[test]
    fn a670_depth_and_count_are_limited_by_one() {
        let nested = |levels: usize| "81".repeat(levels - 1) + "00";
        assert!(read(&nested(limits::CBOR_DEPTH)).is_ok());
        assert_eq!(read(&nested(limits::CBOR_DEPTH + 1)), Err(CborFault::Depth));
        let list = |items: usize| format!("99{:04x}{}", items - 1, "00".repeat(items - 1));
        assert!(read(&list(limits::CBOR_ITEMS)).is_ok());
        assert_eq!(read(&list(limits::CBOR_ITEMS + 1)), Err(CborFault::Items));
    }

    #[test]
    fn a670_members_are_found_by_their_labels() {
        let bytes = hex::decode("a20141ff6161616f").unwrap();
        let map = parse(&bytes).unwrap();
        assert_eq!(map.get(Label::Int(1)).and_then(Value::bytes), Some(&[0xff][..]));
        assert_eq!(map.get(Label::Text("a")).and_then(Value::text), Some("o"));
        assert_eq!(map.get(Label::Int(2)), None);
        assert_eq!(Value::Null.get(Label::Int(1)), None);
    }
}
