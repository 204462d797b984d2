//! Whether a text is a tar archive as well, to the most lenient of readers (A601).
//!
//! An archive begins with a header of 512 bytes, and all that every reader asks of it is a checksum: no magic is needed,
//! names and numbers may be filled with blanks. Readers differ in how they take the checksum's field. Go's `archive/tar`, by
//! which every runtime unpacks, takes a blank field for 0, and sums bytes over 127 as signed or as unsigned; libarchive
//! stops at the first character that is no digit; Python takes `0o` and `_`, and numbers to the base 256. Here all of them
//! are one reader.
//!
//! Compressed archives begin with bytes that neither a JSON text nor a tagged COSE message begins with.

const HEADER: usize = 512;
const FIELD: std::ops::Range<usize> = 148..156;

/// Whether the field of the checksum, if the text were a header, holds what some reader could take for a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checksum {
    /// It does not.
    Impossible,
    /// It does, or it is blank.
    Possible,
}

/// Looks at the field alone, whatever the sum. No reader takes a text that is shorter than a header for an archive.
pub(super) fn checksum(bytes: &[u8]) -> Checksum {
    let number =
        |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, 0 | b'0'..=b'7' | b'+' | b'-' | b'_');
    match bytes.get(..HEADER).and_then(|header| header.get(FIELD)) {
        Some(field) if field.iter().all(number) || base_256(field).is_some() => Checksum::Possible,
        Some(_) | None => Checksum::Impossible,
    }
}

/// Tells whether the text begins with a header whose checksum holds for any reader.
pub(super) fn begins_like_tar(bytes: &[u8]) -> bool {
    let Some((header, field)) = bytes.get(..HEADER).zip(bytes.get(FIELD)) else { return false };
    let counted = |(at, byte): (usize, &u8)| if FIELD.contains(&at) { b' ' } else { *byte };
    let sums = header.iter().enumerate().map(counted).fold((0_i64, 0_i64), |(unsigned, signed), byte| {
        (unsigned + i64::from(byte), signed + i64::from(byte.cast_signed()))
    });
    let claimed = claimed(field);
    claimed == sums.0 || claimed == sums.1
}

/// The number in a field that is written to the base 256, as far as a sum of bytes can be one: a first byte that marks it
/// as positive, and zeros before it.
fn base_256(field: &[u8]) -> Option<i64> {
    let [0x80, zeros @ .., a, b, c, d] = field else { return None };
    let number = i64::from(u32::from_be_bytes([*a, *b, *c, *d]));
    zeros.iter().all(|byte| *byte == 0).then_some(number)
}

/// The number in the field: 0 where there is none.
fn claimed(field: &[u8]) -> i64 {
    if let Some(number) = base_256(field) {
        return number;
    }
    let blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0;
    let text = field.iter().copied().skip_while(blank).collect::<Vec<_>>();
    let (sign, digits) = match text.as_slice() {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] => (1, rest),
        all => (1, all),
    };
    let digits = digits.strip_prefix(b"0o").or(digits.strip_prefix(b"0O")).unwrap_or(digits);
    let digits = digits.iter().filter(|byte| **byte != b'_').take_while(|byte| matches!(byte, b'0'..=b'7'));
    sign * digits.fold(0, |number, digit| number * 8 + i64::from(digit - b'0'))
}

#[cfg(test)]
mod tests;
