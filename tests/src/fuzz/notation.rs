//! Signatures of the Notary Project's, changed: what still counts must be what was signed, by whom it was signed.

use std::sync::OnceLock;

use bytes::Bytes;
use jiff::Timestamp;
use pullgate_policy::evidence::notation::{Form, Jws, Sign1};
use pullgate_policy::evidence::{Evidence, Layout, Source};
use pullgate_policy::identity::{
    Authority, By, Name, RevocationAsked, Subject, Subjects, Terms, TimestampAsked, Transparency, Uses,
};
use pullgate_policy::oci::Digest;
use pullgate_policy::strict_cbor;
use pullgate_verify::{
    Artifact, Found, Item, KeyRing, Request, Store, Stores, TrustSet, named_subjects, verify_all,
};

use crate::made::Made;
use crate::notation::{Authority as Corp, SIGNED, SUBJECT};

/// Two envelopes about one image, and whoever vouches for both.
struct Stand {
    subject: Made,
    jws: Vec<u8>,
    cose: Vec<u8>,
    authority: Option<Authority>,
    trust: TrustSet,
}

fn stand() -> &'static Stand {
    static STAND: OnceLock<Stand> = OnceLock::new();
    STAND.get_or_init(|| {
        let (corp, subject) = (Corp::new("corp root"), Made::image());
        let signer = corp.signer();
        let mut stores = Stores::new(Name::new("corp"));
        // Where it is refused no original counts, and that is told.
        let added = stores.add(Store::Ca, corp.root()).is_ok();
        let terms = Terms { timestamp: TimestampAsked::Never, revocation: RevocationAsked::Yes };
        let asked = Subject::asked(SUBJECT).ok().filter(|_| added);
        Stand {
            jws: signer.jws(&subject.bytes, &subject.media_type),
            cose: signer.cose(&subject.bytes, &subject.media_type),
            subject,
            authority: asked.map(|asked| Authority {
                name: Name::new("release"),
                uses: Uses::Signatures,
                transparency: Transparency::None,
                trust: Name::new("corp"),
                by: By::Subjects { subjects: Subjects::AnyOf(vec![asked]), terms },
            }),
            trust: TrustSet::new(Vec::new()).with_stores(vec![stores]),
        }
    })
}

fn ask(item: Item) -> Evidence {
    let stand = stand();
    let subject = Digest::of(&stand.subject.bytes);
    let source = Source { layout: Layout::Referrers, manifest: subject, blob: subject };
    let authorities: Vec<&Authority> = stand.authority.iter().collect();
    let now: Timestamp = SIGNED.parse().unwrap_or_default();
    verify_all(&Request {
        subject,
        artifact: Artifact::Bytes(&stand.subject.bytes),
        found: &[Found { source, item }],
        authorities: &authorities,
        keys: &KeyRing::default(),
        trust: &stand.trust,
        now,
        collected: now,
    })
}

/// What is signed must be what was, as its own reader finds it.
fn judged(
    form: Form,
    input: &[u8],
    original: &[u8],
    signed: fn(&[u8]) -> Option<Vec<u8>>,
) -> Result<(), String> {
    let item = Item::Envelope { form, bytes: Bytes::copy_from_slice(input) };
    let named = named_subjects(&item);
    let evidence = ask(item);
    let counts = !evidence.signatures.is_empty();
    if evidence.rejected.len() + evidence.signatures.len() != 1 {
        return Err("neither counts nor is named, or both".to_owned());
    }
    if input == original && !counts {
        return Err(format!("an original does not count: {:?}", evidence.rejected));
    }
    if counts && named != [Digest::of(&stand().subject.bytes)] {
        return Err("it counts, and names another subject".to_owned());
    }
    if counts && signed(input) != signed(original) {
        return Err("it counts, and other bytes were signed".to_owned());
    }
    Ok(())
}

pub(super) fn jws_seeds() -> Vec<Vec<u8>> {
    vec![stand().jws.clone()]
}

pub(super) fn jws(input: &[u8]) -> Result<(), String> {
    let signed = |bytes: &[u8]| {
        let read = Jws::read(bytes).ok()?;
        Some(format!("{}.{}", read.protected, read.payload).into_bytes())
    };
    judged(Form::Jws, input, &stand().jws, signed)
}

pub(super) fn cose_seeds() -> Vec<Vec<u8>> {
    vec![stand().cose.clone()]
}

pub(super) fn cose(input: &[u8]) -> Result<(), String> {
    let signed = |bytes: &[u8]| {
        let read = Sign1::read(bytes).ok()?;
        Some([read.protected, b"|", read.payload].concat())
    };
    judged(Form::Cose, input, &stand().cose, signed)?;
    // One reader: what it reads it reads whole.
    match strict_cbor::parse(input) {
        Ok(_) if strict_cbor::parse(&[input, &[0]].concat()).is_ok() => {
            Err("a byte behind a value is passed over".to_owned())
        }
        Ok(_) | Err(_) => Ok(()),
    }
}
