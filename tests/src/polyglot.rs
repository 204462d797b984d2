//! Texts that are evidence and archives at once, or almost (A601): every field of a tar header in each form that some reader
//! takes.

use bytes::Bytes;
use pullgate_policy::content::Untrusted;
use pullgate_policy::evidence::servable::EvidenceOnly;

use crate::made::{CONFIG, Layer, Made};
use crate::random::Random;
use crate::signing::{BUNDLE, DSSE, SIMPLE_SIGNING};

const BLOCK: usize = 512;
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// What stands before and behind the archive, so that all of it is one piece of evidence; the last is none.
const FRAMES: [(&str, &str); 4] = [
    (r#"{"critical":{"image":{"docker-manifest-digest":"x"},"type":"y"},"optional":{"a":""#, r#""}}"#),
    (r#"{"payload":"","payloadType":"","signatures":[],"a":""#, r#""}"#),
    (
        r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","a":""#,
        r#"","verificationMaterial":{},"messageSignature":{}}"#,
    ),
    ("", ""),
];

/// How the checksum is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sum {
    /// Nothing: right for a reader that takes it for 0, where the bytes have that sum.
    Blank,
    /// Words.
    Other,
    /// Of bytes that are signed.
    Signed,
    /// Of bytes that are not.
    Unsigned,
    /// One more than that.
    Wrong,
}

/// One of them, by what `random` says.
pub fn made(random: &mut Random) -> Vec<u8> {
    let (open, close) = random.one(&FRAMES).copied().unwrap_or_default();
    let text = !open.is_empty() && random.below(16) > 0;
    let mut header = fields(random, open, Alphabet { text });
    let sums = [Sum::Blank, Sum::Blank, Sum::Other, Sum::Signed, Sum::Unsigned, Sum::Unsigned, Sum::Wrong];
    let sum = random.one(&sums).copied().unwrap_or(Sum::Unsigned);
    if sum == Sum::Blank && random.below(8) > 0 {
        level(&mut header);
    }
    let field = checksum(random, sum, &header);
    header.splice(CHECKSUM, field);
    let mut bytes = Vec::new();
    if !text {
        bytes.resize(BLOCK * usize::try_from(random.below(3)).unwrap_or_default(), 0);
    }
    bytes.extend(header);
    let blocks = usize::try_from(random.below(3)).unwrap_or_default() + 1;
    let body = if text || random.below(2) == 0 { b' ' } else { 0 };
    bytes.resize(bytes.len() + BLOCK * blocks - close.len(), body);
    bytes.extend(close.as_bytes());
    bytes
}

/// An archive of one file that is a simple-signing payload too, its checksum blank: what podman unpacks to the end.
#[must_use]
pub fn runnable() -> Vec<u8> {
    let (open, close) = FRAMES.first().copied().unwrap_or_default();
    let mut bytes = open.as_bytes().to_vec();
    bytes.resize(100, b'n');
    bytes.extend(b"0000755 0000000 0000000 00000001000 00000000000         0");
    bytes.resize(BLOCK, b'A');
    level(&mut bytes);
    bytes.resize(2 * BLOCK - close.len(), b' ');
    bytes.extend(close.as_bytes());
    bytes
}

/// What a header is written with.
#[derive(Clone, Copy)]
struct Alphabet {
    /// Nothing that does not stand in a JSON text.
    text: bool,
}

/// A header without its checksum, which is blank.
fn fields(random: &mut Random, open: &str, of: Alphabet) -> Vec<u8> {
    let mut header = open.as_bytes().to_vec();
    header.resize(100, b'n');
    for (length, largest) in [(8, 0o777), (8, 0o7), (8, 0o7), (12, 600), (12, 0o7)] {
        let value = random.below(largest + 1);
        header.extend(number(random, value, length, of));
    }
    header.resize(CHECKSUM.end, b' ');
    let kinds: &[u8] = if of.text { b"00005 12xgLK7A" } else { b"0\x005 12xgLK" };
    header.push(random.one(kinds).copied().unwrap_or(b'0'));
    let fill = random.one(b"  A/z").copied().unwrap_or(b' ');
    header.resize(257, fill);
    let magics: &[&[u8]] =
        if of.text { &[b"", b"ustar   ", b"ustar 00"] } else { &[b"", b"ustar\x0000", b"ustar  \0"] };
    header.extend(random.one(magics).copied().unwrap_or_default());
    if random.below(3) == 0 {
        header.extend("\u{e9}".repeat(usize::try_from(random.below(20)).unwrap_or_default()).as_bytes());
    }
    header.resize(BLOCK, if of.text { fill } else { 0 });
    header
}

/// A number, in a form that some reader takes for it.
fn number(random: &mut Random, value: u64, length: usize, of: Alphabet) -> Vec<u8> {
    let digits = length - 1;
    let forms = if of.text { 5 } else { 8 };
    let mut bytes = match random.below(forms) {
        0 => format!("{value:0digits$o} "),
        1 => format!("{value:digits$o} "),
        2 => format!(" {value:o}"),
        3 => format!("{value:0length$o}"),
        4 => String::new(),
        5 => format!("{value:0digits$o}\0"),
        6 => "\0".repeat(length),
        _ => {
            // To the base 256.
            let mut bytes = vec![0x80];
            bytes.resize(length - 8, 0);
            bytes.extend(value.to_be_bytes());
            bytes.truncate(length);
            return bytes;
        }
    }
    .into_bytes();
    bytes.resize(length, b' ');
    bytes
}

fn sums(header: &[u8]) -> (i64, i64) {
    header.iter().fold((0, 0), |(unsigned, signed), byte| {
        (unsigned + i64::from(*byte), signed + i64::from(byte.cast_signed()))
    })
}

/// Writes `\u{c0}`, whose two bytes are -189 where they are signed, over the end of the header until its signed sum is 0.
fn level(header: &mut [u8]) {
    let mut at = CHECKSUM.end + 1;
    while sums(header).1 > 0 {
        let Some(pair) = header.get_mut(at..at + 2) else { return };
        pair.copy_from_slice("\u{c0}".as_bytes());
        at += 2;
    }
    let end = header.len();
    for byte in header.iter_mut().take(end).skip(at) {
        *byte = b'!';
    }
    while sums(header).1 > 0 {
        let Some(pair) = header.get_mut(at..at + 2) else { return };
        pair.copy_from_slice("\u{c0}".as_bytes());
        at += 2;
    }
    for place in at..end {
        let missing = u8::try_from((-sums(header).1).min(i64::from(b'z' - b'#'))).unwrap_or_default();
        // `"` and `\` end a JSON text or change it.
        let Some(byte) = header.get_mut(place) else { return };
        match *byte + missing {
            b'"' | b'\\' => *byte += missing - 1,
            more => *byte = more,
        }
    }
}

fn checksum(random: &mut Random, sum: Sum, header: &[u8]) -> Vec<u8> {
    let (unsigned, signed) = sums(header);
    let value = match sum {
        Sum::Blank => return vec![b' '; CHECKSUM.len()],
        Sum::Other => return b"checksum".to_vec(),
        Sum::Signed => signed.max(0),
        Sum::Unsigned => unsigned,
        Sum::Wrong => unsigned + 1,
    };
    let mut field = match random.below(4) {
        0 => format!("{value:06o}  "),
        1 => format!("{value:7o} "),
        2 => format!(" {value:o}"),
        _ => format!("{value:08o}"),
    }
    .into_bytes();
    field.resize(CHECKSUM.len(), b' ');
    field
}

/// Tells whether these bytes pass for evidence of any kind, with a config that names nothing.
#[must_use]
pub fn is_evidence(bytes: &[u8]) -> bool {
    [SIMPLE_SIGNING, DSSE, BUNDLE].into_iter().any(|kind| {
        let layer = Layer::new(kind, bytes.to_vec());
        let made = Made::manifest((CONFIG, b"{}".to_vec()), vec![layer], serde_json::json!({}));
        let intact = |bytes: &[u8]| Untrusted::new(Bytes::copy_from_slice(bytes)).hash();
        let blobs = made.blobs.iter().map(|blob| intact(blob)).collect();
        intact(&made.bytes).parse(None).is_ok_and(|document| EvidenceOnly::check(document, blobs).is_ok())
    })
}
