//! What the Notary Project asks of a token besides (RFC 3161, RFC 5816, ETSI EN 319 422): no older form of anything.

use std::time::Duration;

use jiff::Timestamp;
use x509_cert::der::asn1::{AnyRef, GeneralizedTime, ObjectIdentifier, UintRef, UtcTime};
use x509_cert::der::{Decode as _, Tag, TagNumber, Tagged as _};

use super::{Id, SIGNED_DATA, SIGNING_CERTIFICATE_V2, Token, typed};
use crate::asn1::{is_marked_plain, parts};

const SIGNING_TIME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.5");
/// Best practice policy (ETSI EN 319 421, section 5.2): a second, where nothing is said.
const BEST_PRACTICE: ObjectIdentifier = ObjectIdentifier::new_unwrap("0.4.0.2023.1.1");

/// What a token says of its time.
pub(crate) struct Strict {
    /// How far the time may be off, before and behind.
    pub(crate) accuracy: Duration,
    /// When it was signed, as its signer says beside it.
    pub(crate) signed: Option<Timestamp>,
}

impl Token {
    /// Reads a token, and no answer of a server that holds one.
    pub(crate) fn read_bare(der: &[u8]) -> Option<Self> {
        let (kind, _) = typed(AnyRef::from_der(der).ok()?)?;
        (kind == SIGNED_DATA).then(|| Self::read(der))?
    }

    /// Looks at what is asked besides. None, with a few words, where it is of an older form.
    ///
    /// # Errors
    /// A few words.
    pub(crate) fn strict(&self) -> Result<Strict, &'static str> {
        if self.version != [3] {
            return Err("a version of its content that is not 3");
        }
        match self.signer.id {
            Id::Issued(_) => {}
            Id::KeyId(_) => return Err("its signer is not named by issuer and serial number"),
        }
        let attributes = self.signer.attributes().ok_or("its signed attributes")?;
        let one = |oid| attributes.iter().find(|(kind, _)| *kind == oid).map(|(_, value)| *value);
        if one(SIGNING_CERTIFICATE_V2).is_none() {
            return Err("it does not name its certificate by signing-certificate-v2");
        }
        let signed = one(SIGNING_TIME).map(|time| moment(time).ok_or("its signing time")).transpose()?;
        Ok(Strict { accuracy: self.accuracy().ok_or("its accuracy")?, signed })
    }

    /// None where it cannot be read.
    fn accuracy(&self) -> Option<Duration> {
        let fields = parts(AnyRef::from_der(&self.info).ok()?)?;
        let policy: ObjectIdentifier = fields.get(1)?.decode_as().ok()?;
        let said = fields.get(5).filter(|field| field.tag() == Tag::Sequence);
        let Some(said) = said else {
            return Some(Duration::from_secs(u64::from(policy == BEST_PRACTICE)));
        };
        let mut accuracy = Duration::ZERO;
        for field in parts(*said)? {
            let number = || Some(field.value()).filter(|bytes| bytes.len() <= 2).map(number);
            accuracy += match field.tag() {
                Tag::Integer => {
                    let seconds = field.decode_as::<UintRef<'_>>().ok()?;
                    Duration::from_secs(seconds.as_bytes().get(..4).is_none().then(|| number_of(seconds))?)
                }
                _ if is_marked_plain(field, TagNumber::N0) => Duration::from_millis(number()?),
                _ if is_marked_plain(field, TagNumber::N1) => Duration::from_micros(number()?),
                _ => return None,
            };
        }
        Some(accuracy)
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn number_of(read: UintRef<'_>) -> u64 {
    number(read.as_bytes())
}

fn moment(time: AnyRef<'_>) -> Option<Timestamp> {
    let since_epoch = match time.tag() {
        Tag::UtcTime => time.decode_as::<UtcTime>().ok()?.to_unix_duration(),
        Tag::GeneralizedTime => time.decode_as::<GeneralizedTime>().ok()?.to_unix_duration(),
        _ => return None,
    };
    Timestamp::from_second(i64::try_from(since_epoch.as_secs()).ok()?).ok()
}
