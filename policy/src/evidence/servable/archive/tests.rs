use super::*;

/// A text of blanks with this field.
fn text(field: &[u8; 8]) -> Vec<u8> {
    let mut bytes = vec![b' '; HEADER];
    bytes[FIELD].copy_from_slice(field);
    bytes
}

#[test]
fn the_field_is_read_as_by_the_most_lenient_reader() {
    for (field, number) in [
        (b"0011610 ", 0o11610),
        (b"  11610 ", 0o11610),
        (b"11610\0 7", 0o11610),
        (b"\t\n\r11610", 0o11610),
        (b"+0011610", 0o11610),
        (b"-0011610", -0o11610),
        (b"0o11610 ", 0o11610),
        (b"0O11610 ", 0o11610),
        (b"0_11_610", 0o11610),
        (b"11610abc", 0o11610),
        (b"        ", 0),
        (b"\0\0\0\0\0\0\0\0", 0),
        (b"abcdefgh", 0),
    ] {
        assert_eq!(claimed(field), number, "{}", String::from_utf8_lossy(field));
    }
}

#[test]
fn a601_blanks_octal_digits_and_nuls_are_a_checksum_whatever_the_sum() {
    for (field, expected) in [
        (b"        ", Checksum::Possible),
        (b"\0\0\0\0\0\0\0\0", Checksum::Possible),
        (b"01234567", Checksum::Possible),
        (b" 12\0 34 ", Checksum::Possible),
        (b"+0011610", Checksum::Possible),
        (b"\t\n\r    7", Checksum::Possible),
        (b"01234568", Checksum::Impossible),
        (b"abcdef01", Checksum::Impossible),
        (b"      \xc3\x80", Checksum::Impossible),
    ] {
        assert_eq!(checksum(&text(field)), expected, "{}", String::from_utf8_lossy(field));
        assert_eq!(checksum(&text(field)[..HEADER - 1]), Checksum::Impossible, "shorter than a header");
    }
}

#[test]
fn a_header_has_the_sum_of_its_bytes_signed_or_unsigned_with_its_field_as_blanks() {
    let header = |sum: usize| {
        let mut header = text(b"        ");
        header[FIELD].copy_from_slice(format!("{sum:07o} ").as_bytes());
        header
    };
    let blanks = HEADER * usize::from(b' ');
    for (sum, is_tar) in [(blanks, true), (blanks + 1, false), (blanks - 1, false)] {
        assert_eq!(begins_like_tar(&header(sum)), is_tar, "{sum}");
    }
    let mut signed = header(blanks - 32 - 0x40);
    signed[0] = 0xc0; // -64
    assert!(begins_like_tar(&signed));
    signed[1] = b'!';
    assert!(!begins_like_tar(&signed));
    assert!(!begins_like_tar(&header(blanks)[..HEADER - 1]), "shorter than a header");
}
