//! Checkpoints as signed notes (C2SP signed-note and tlog-checkpoint), as the reference compares them: the note is by
//! the log of the entry, in its name and about its tree (A625). The library accepts any log of the table whose key hint
//! is in a line.

use pullgate_policy::limits;

use crate::encoding;

/// Bytes of a line's key hint.
pub(super) const HINT_BYTES: usize = 4;
/// Bytes of a tree's root.
const ROOT_BYTES: usize = 32;

/// A note that was read and not yet verified.
pub(super) struct Note<'a> {
    /// What is signed, with its last newline.
    pub(super) text: &'a str,
    pub(super) origin: &'a str,
    pub(super) size: u64,
    pub(super) root: Vec<u8>,
    pub(super) lines: Vec<Line<'a>>,
}

/// One signature of a note.
pub(super) struct Line<'a> {
    pub(super) name: &'a str,
    pub(super) hint: [u8; HINT_BYTES],
    pub(super) signature: Vec<u8>,
}

impl<'a> Note<'a> {
    /// Reads a checkpoint of at most 8 KiB with 1 to 16 signatures.
    pub(super) fn read(envelope: &'a str) -> Option<Self> {
        if !is_within_limits(envelope) || envelope.chars().any(|one| one.is_ascii_control() && one != '\n') {
            return None;
        }
        let (text, signatures) = envelope.rsplit_once("\n\n")?;
        let mut body = text.split('\n');
        let (origin, size, root) = (body.next()?, body.next()?, body.next()?);
        // What follows are extensions, a line each; an empty one would end the note for another reader.
        if origin.is_empty() || body.any(str::is_empty) {
            return None;
        }
        let size = Some(size).filter(|size| size.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()?;
        let root = encoding::standard(root).filter(|root| root.len() == ROOT_BYTES)?;
        let lines = signatures.strip_suffix('\n')?.split('\n').map(Line::read).collect::<Option<Vec<_>>>()?;
        let text = envelope.get(..text.len() + 1)?;
        Some(Self { text, origin, size, root, lines })
    }
}

impl<'a> Line<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let (name, signature) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
        let decoded = encoding::standard(signature)?;
        let (hint, signature) = decoded.split_at_checked(HINT_BYTES)?;
        let fits = !signature.is_empty() && !name.is_empty() && !name.contains(char::is_whitespace);
        fits.then_some(())?;
        Some(Self { name, hint: hint.try_into().ok()?, signature: signature.to_vec() })
    }
}

/// Whether a checkpoint is small enough to be looked at: each line costs a signature (A624).
pub(crate) fn is_within_limits(envelope: &str) -> bool {
    let mark = "\n\u{2014}";
    envelope.len() <= limits::CHECKPOINT_BYTES
        && envelope.matches(mark).count() <= limits::CHECKPOINT_SIGNATURES
}

/// The host in whose name an origin of Rekor v1 is: `HOST - TREE`.
pub(super) fn host_of_tree(origin: &str) -> Option<&str> {
    let (host, tree) = origin.rsplit_once(" - ")?;
    (!tree.is_empty() && tree.bytes().all(|byte| byte.is_ascii_digit())).then_some(host)
}

/// The host of a log's address: the name in which a log of Rekor v2 signs.
pub(super) fn host_of_address(address: &str) -> Option<String> {
    let (_, rest) = address.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None => host.split_once(':').map_or(host, |(host, _)| host),
    };
    let is_name = !host.is_empty() && !host.contains(|one: char| one.is_whitespace() || one == '+');
    is_name.then(|| host.to_owned())
}

#[cfg(test)]
mod tests;
