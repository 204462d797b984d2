//! The key of the log: it signs the head, so that who has its public half sees that nobody altered what was before.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pullgate_policy::text;

/// Bytes of a public key, Ed25519 (RFC 8032).
const PUBLIC_BYTES: usize = 32;
/// What a key of a signed note begins with: its algorithm, Ed25519 (C2SP signed-note).
const ALGORITHM: u8 = 1;
/// Bytes of the hash by which a signed note names its key.
const ID_BYTES: usize = 4;
/// The file of the public keys, beside the database.
const PUBLIC: &str = "log.pub";
/// Base64 letters of a line in PEM.
const PEM_LINE: usize = 64;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or made.
    #[error("the log key {} cannot be had", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no Ed25519 key in PEM.
    #[error("{} is no Ed25519 key in PEM (PKCS#8): make one by `openssl genpkey -algorithm ed25519`", .0.display())]
    NoKey(PathBuf),
    /// It is no key of a signed note.
    #[error("a public key is written NAME+HASH+KEY, as `pullgate audit key` prints it")]
    NoPublicKey,
}

/// The key by which a gate signs its log.
pub struct LogKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

/// The public half, with the name of the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    key: [u8; PUBLIC_BYTES],
}

impl LogKey {
    /// The name of its file, beside the database.
    pub const FILE: &str = "log.key";

    /// Reads the key, or makes one: 0600, complete or not there at all.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn load_or_create(path: &Path, gate: &str) -> Result<Self, KeyError> {
        match Self::load(path, gate) {
            Err(KeyError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                create(path).map_err(|source| KeyError::File { path: path.to_owned(), source })?;
                Self::load(path, gate)
            }
            loaded => loaded,
        }
    }

    /// Reads the key.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn load(path: &Path, gate: &str) -> Result<Self, KeyError> {
        let text =
            fs::read_to_string(path).map_err(|source| KeyError::File { path: path.to_owned(), source })?;
        let no_key = || KeyError::NoKey(path.to_owned());
        let der = from_pem(&text).ok_or_else(no_key)?;
        let pair = Ed25519KeyPair::from_pkcs8(&der).map_err(|_| no_key())?;
        let key = pair.public_key().as_ref().try_into().map_err(|_| no_key())?;
        Ok(Self { pair, public: PublicKey { name: named(gate), key } })
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Whether this is its public half, whatever the gate is called there.
    #[must_use]
    pub fn is_of(&self, public: &PublicKey) -> bool {
        self.public.key == public.key
    }

    /// A signature over bytes.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        self.pair.sign(bytes).as_ref().to_vec()
    }
}

impl std::fmt::Debug for LogKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogKey").field("public", &self.public).finish_non_exhaustive()
    }
}

impl PublicKey {
    /// Reads what [`PublicKey::as_note_key`] writes.
    ///
    /// # Errors
    /// [`KeyError::NoPublicKey`].
    pub fn parse(written: &str) -> Result<Self, KeyError> {
        let mut parts = written.trim().splitn(3, '+');
        let (Some(name), Some(id), Some(bytes)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(KeyError::NoPublicKey);
        };
        let bytes = STANDARD.decode(bytes).map_err(|_| KeyError::NoPublicKey)?;
        let key = bytes.strip_prefix(&[ALGORITHM]).and_then(|key| key.try_into().ok());
        let key = Self { name: name.to_owned(), key: key.ok_or(KeyError::NoPublicKey)? };
        // A name is shown to people: it has neither spaces nor what could steer a screen.
        let is_name = !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || text::is_unsafe(c));
        if hex::encode(key.id()) == id && is_name { Ok(key) } else { Err(KeyError::NoPublicKey) }
    }

    /// The public keys of a gate's log, the newest last: they lie beside its database, for whoever may read that.
    #[must_use]
    pub fn read(database: &Path) -> Vec<Self> {
        let text = fs::read_to_string(database.with_file_name(PUBLIC)).unwrap_or_default();
        text.lines().filter_map(|line| Self::parse(line).ok()).collect()
    }

    /// Puts it beside the database, behind those before it.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn publish(&self, database: &Path) -> io::Result<()> {
        if Self::read(database).last() == Some(self) {
            return Ok(());
        }
        let path = database.with_file_name(PUBLIC);
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        file.write_all(format!("{}\n", self.as_note_key()).as_bytes())
    }

    /// As signed notes name it: `NAME+HASH+KEY` (C2SP signed-note, a verifier key).
    #[must_use]
    pub fn as_note_key(&self) -> String {
        let mut bytes = vec![ALGORITHM];
        bytes.extend_from_slice(&self.key);
        format!("{}+{}+{}", self.name, hex::encode(self.id()), STANDARD.encode(bytes))
    }

    /// As other tools read it: PEM (SubjectPublicKeyInfo).
    #[must_use]
    pub fn as_pem(&self) -> String {
        // RFC 8410: the algorithm has no parameters, so that what stands before the key never changes.
        let mut der = vec![0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        der.extend_from_slice(&self.key);
        to_pem("PUBLIC KEY", &der)
    }

    /// The name in its notes.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The beginning of the hash of name and key, by which a note names it.
    pub(crate) fn id(&self) -> [u8; ID_BYTES] {
        let mut text = format!("{}\n", self.name).into_bytes();
        text.push(ALGORITHM);
        text.extend_from_slice(&self.key);
        let hash = crate::hash::hash(&text);
        let mut id = [0; ID_BYTES];
        for (to, from) in id.iter_mut().zip(hash) {
            *to = from;
        }
        id
    }

    /// Whether a signature is by this key.
    #[must_use]
    pub fn verify(&self, bytes: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.key).verify(bytes, signature).is_ok()
    }
}

/// The name of a gate in its notes: neither spaces nor `+`, which part the fields of a note's key.
fn named(gate: &str) -> String {
    let plain = |c: char| if c.is_whitespace() || c == '+' || text::is_unsafe(c) { '-' } else { c };
    format!("pullgate/{}", gate.chars().map(plain).collect::<String>())
}

/// The name of this host, by which a gate without one of its own is known.
#[must_use]
pub fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "pullgate".to_owned(),
        name => name.to_owned(),
    }
}

fn create(path: &Path) -> io::Result<()> {
    let pair = Ed25519KeyPair::generate().map_err(|_| io::Error::other("no randomness"))?;
    let der = pair.to_pkcs8v1().map_err(|_| io::Error::other("the key cannot be written"))?;
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    let unfinished = PathBuf::from(unfinished);
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(to_pem("PRIVATE KEY", der.as_ref()).as_bytes())?;
    file.sync_all()?;
    // Somebody was faster: theirs counts.
    match fs::hard_link(&unfinished, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    fs::remove_file(&unfinished)
}

fn to_pem(label: &str, der: &[u8]) -> String {
    let letters = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in letters.as_bytes().chunks(PEM_LINE) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

fn from_pem(text: &str) -> Option<Vec<u8>> {
    let (_, rest) = text.split_once("-----BEGIN PRIVATE KEY-----")?;
    let (letters, _) = rest.split_once("-----END PRIVATE KEY-----")?;
    STANDARD.decode(letters.split_whitespace().collect::<String>()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_its_public_half_is_read_again() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.key");
        let made = LogKey::load_or_create(&path, "gate 1+").unwrap();
        let again = LogKey::load_or_create(&path, "gate 1+").unwrap();
        assert_eq!(made.public(), again.public());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = made.public().as_note_key();
        assert!(text.starts_with("pullgate/gate-1-+"), "{text}");
        let read = PublicKey::parse(&text).unwrap();
        assert!(read.verify(b"text", &made.sign(b"text")) && !read.verify(b"other", &made.sign(b"text")));
        assert!(PublicKey::parse(&text.replace("gate-1", "gate-2")).is_err(), "the hash is of the name too");
        for name in ["gate\u{1b}[2J", "two words", "\u{202e}gate"] {
            let named = PublicKey { name: name.to_owned(), key: made.public().key };
            assert!(PublicKey::parse(&named.as_note_key()).is_err(), "{name:?}");
        }
        fs::write(&path, "nonsense").unwrap();
        assert!(matches!(LogKey::load_or_create(&path, "x"), Err(KeyError::NoKey(_))), "it is not replaced");
    }
}
