//! From an input to one that is almost it.

use crate::random::Random;

/// Longer ones are cut: limits in bytes have tests of their own.
const INPUT_MAX: usize = 64 * 1024;

/// Bytes that readers of texts trip over.
const BYTES: &[&[u8]] = &[
    b"\0",
    b"\n",
    b"\r\n",
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b"/",
    b"..",
    b"%2f",
    b"%",
    b"@",
    b":",
    b"?",
    b"&",
    b"=",
    b"\xff",
    b"\xc3\x28",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    "\u{202e}".as_bytes(),
    b"\\u0000",
    b"\\ud800",
    b"1e999",
    b"-0",
    b"9007199254740993",
    b"18446744073709551616",
    b"null",
    b"true",
    b"[]",
    b"{}",
    b"\"\"",
    b"  ",
    b"=====",
    b"-----BEGIN",
    b"sha256:",
];

/// One of the pool, changed at one place or a few.
pub(super) fn input(pool: &[Vec<u8>], words: &[&str], random: &mut Random) -> Vec<u8> {
    let mut input = random.one(pool).cloned().unwrap_or_default();
    for _ in 0..=random.below(3) {
        change(&mut input, pool, words, random);
    }
    input.truncate(INPUT_MAX);
    input
}

fn change(input: &mut Vec<u8>, pool: &[Vec<u8>], words: &[&str], random: &mut Random) {
    let at = place(input, random);
    match random.below(9) {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = u8::try_from(random.below(256)).unwrap_or_default();
            }
        }
        2 => {
            let some = random.one(BYTES).copied().unwrap_or_default();
            insert(input, at, some);
        }
        3 => {
            let word = random.one(words).copied().unwrap_or_default();
            insert(input, at, word.as_bytes());
        }
        4 => {
            let end = at.saturating_add(length(random)).min(input.len());
            input.drain(at..end);
        }
        5 => {
            let end = at.saturating_add(length(random)).min(input.len());
            let part = input.get(at..end).unwrap_or_default().to_vec();
            let to = place(input, random);
            insert(input, to, &part);
        }
        6 => input.truncate(at),
        7 => {
            // The beginning of one and the end of another.
            let other = random.one(pool).cloned().unwrap_or_default();
            let from = place(&other, random);
            input.truncate(at);
            input.extend_from_slice(other.get(from..).unwrap_or_default());
        }
        _ => number(input, random),
    }
}

/// Puts another number in the place of one.
fn number(input: &mut Vec<u8>, random: &mut Random) {
    let digits: Vec<usize> =
        (0..input.len()).filter(|at| input.get(*at).is_some_and(u8::is_ascii_digit)).collect();
    let Some(at) = random.one(&digits).copied() else { return };
    let end =
        (at..input.len()).find(|at| !input.get(*at).is_some_and(u8::is_ascii_digit)).unwrap_or(input.len());
    let numbers =
        ["0", "-1", "1", "255", "65536", "2147483648", "4294967296", "9223372036854775808", "1e400", "0x10"];
    let with = random.one(&numbers).copied().unwrap_or_default();
    input.splice(at..end, with.bytes());
}

fn insert(input: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let at = at.min(input.len());
    input.splice(at..at, bytes.iter().copied());
}

fn place(input: &[u8], random: &mut Random) -> usize {
    usize::try_from(random.below(input.len() as u64 + 1)).unwrap_or_default()
}

fn length(random: &mut Random) -> usize {
    usize::try_from(1 + random.below(64)).unwrap_or(1)
}
