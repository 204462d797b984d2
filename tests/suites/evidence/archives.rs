//! A601: what passes for evidence is an archive to nobody, by two readers beside the gate's own. The real ones are asked in
//! `real_clients/unpack.rs`.

use pullgate_policy::strict_json;
use pullgate_tests::polyglot::{is_evidence, made};
use pullgate_tests::random::Random;

/// Of how many made texts.
const TEXTS: usize = 10_000;

/// What Go's `archive/tar` asks of a first header (`reader.go`, `format.go`): the checksum is cut of blanks and NULs at
/// both ends, 0 where nothing is left, and ends at the next NUL; it is the sum of all bytes, signed or unsigned, with
/// its own as blanks.
fn go_takes(bytes: &[u8]) -> bool {
    let Some(header) = bytes.get(..512) else { return false };
    let is_blank = |byte: &u8| matches!(byte, b' ' | 0);
    let field: Vec<u8> = header[148..156].iter().copied().skip_while(is_blank).collect();
    let end = field.iter().rposition(|byte| !is_blank(byte)).map_or(0, |at| at + 1);
    let field = field[..end].split(|byte| *byte == 0).next().unwrap_or_default();
    let value = match std::str::from_utf8(field) {
        Ok("") => Some(0),
        Ok(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => i64::from_str_radix(text, 8).ok(),
        Ok(_) | Err(_) => None,
    };
    let counted = |at: usize| if (148..156).contains(&at) { b' ' } else { header[at] };
    let unsigned: i64 = (0..512).map(|at| i64::from(counted(at))).sum();
    let signed: i64 = (0..512).map(|at| i64::from(counted(at).cast_signed())).sum();
    value.is_some_and(|value| value == unsigned || value == signed)
}

fn tar_takes(bytes: &[u8]) -> bool {
    let mut archive = tar::Archive::new(bytes);
    archive.entries().is_ok_and(|mut entries| matches!(entries.next(), Some(Ok(_))))
}

#[test]
fn the_rules_of_go_are_those_of_its_source() {
    let header = |field: &[u8; 8], first: u8| {
        let mut header = vec![b' '; 512];
        header[0] = first;
        header[148..156].copy_from_slice(field);
        header
    };
    let blanks = 512 * 32;
    for (field, first, takes) in [
        (format!("{blanks:07o} "), b' ', true),
        (format!("{blanks:06o}\0 "), b' ', true),
        (format!("{blanks:08o}"), b' ', true),
        (format!(" \0{blanks:o} "), b' ', true),
        (format!("{:07o} ", blanks + 1), b' ', false),
        (format!("{:07o} ", blanks - 32 - 64), 0xc0, true),
        (format!("{:07o} ", blanks - 32 + 192), 0xc0, true),
        (format!("+{blanks:06o} "), b' ', false),
        (format!("{blanks:o} \0x"), b' ', false),
        ("        ".to_owned(), b' ', false),
    ] {
        let field: [u8; 8] = field.as_bytes().try_into().unwrap();
        assert_eq!(go_takes(&header(&field, first)), takes, "{}", String::from_utf8_lossy(&field));
    }
}

#[test]
fn a601_of_ten_thousand_almost_archives_none_passes_that_two_other_readers_take() {
    let mut random = Random::new(601);
    let (mut json, mut pass, mut go, mut tar) = (0, 0, 0, 0);
    for n in 0..TEXTS {
        let text = made(&mut random);
        let (passes, to_go, to_tar) = (is_evidence(&text), go_takes(&text), tar_takes(&text));
        assert!(!passes || !to_go && !to_tar, "{n}: {}", String::from_utf8_lossy(&text));
        let is_json = strict_json::parse(&text).is_ok();
        json += usize::from(is_json);
        pass += usize::from(passes);
        go += usize::from(is_json && to_go);
        tar += usize::from(is_json && to_tar);
    }
    // Else nothing was tried.
    assert!(json > TEXTS / 2 && pass > TEXTS / 10, "{json} {pass}");
    assert!(go > TEXTS / 10 && tar > TEXTS / 100, "{go} {tar}");
}
