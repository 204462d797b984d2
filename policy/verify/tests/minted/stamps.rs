//! Timestamps of an authority, beside a log or alone (A325, A326, A330).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pullgate_policy::code::Code;
use pullgate_policy::evidence::{Clock, Evidence, Logged};
use pullgate_policy::identity::{Name, Transparency};
use pullgate_verify::{Item, PublicKey, TrustTable};
use rcgen::{KeyPair, PublicKeyData as _};
use serde_json::{Value, json};

use crate::ask::{MANIFEST, Question, TRUST, bundle, identity};
use crate::attached::Attached;
use crate::pki::{Entry, LOGGED, Leaf, Pki, key};
use crate::stamp::Authority;

/// A minute before and after the log's time, and the second of it.
const BEFORE: &str = "20261124115900Z";
const SAME: &str = "20261124120000Z";
const AFTER: &str = "20261124120100Z";
/// When the certificate has run out.
const LATE: &str = "20261126120000Z";

/// Logged or why not, the trusted time and whose clock told it; the code where it does not count.
pub(crate) type Told = Result<(Logged, Option<String>, Option<Clock>), Code>;

pub(crate) fn told(evidence: &Evidence) -> Told {
    let signatures = evidence.signatures.iter().map(|one| one.facts());
    let signatures = signatures.map(|facts| (facts.logged, facts.trusted_time, facts.vouchers.clock));
    let attestations = evidence.attestations.iter().map(|one| one.facts());
    let attestations = attestations.map(|facts| (facts.logged, facts.trusted_time, facts.vouchers.clock));
    match signatures.chain(attestations).collect::<Vec<_>>().as_slice() {
        [(logged, time, clock)] => Ok((*logged, time.map(|time| time.to_string()), *clock)),
        [] => Err(evidence.rejected[0].code),
        many => panic!("one piece is worth one thing: {many:?}"),
    }
}

fn at(logged: Logged, time: &str, clock: Clock) -> Told {
    Ok((logged, Some(time.to_owned()), Some(clock)))
}

pub(crate) fn signature_of(bundle: &Value) -> Vec<u8> {
    STANDARD.decode(bundle["messageSignature"]["signature"].as_str().unwrap()).unwrap()
}

pub(crate) fn stamped(mut bundle: Value, token: &str) -> Value {
    bundle["verificationMaterial"]["timestampVerificationData"] =
        json!({ "rfc3161Timestamps": [{ "signedTimestamp": token }] });
    bundle
}

struct Keyless {
    pki: Pki,
    clock: Authority,
    leaf: Leaf,
}

impl Keyless {
    fn new() -> Self {
        let pki = Pki::new();
        let leaf = pki.usual_leaf();
        Self { pki, clock: Authority::new(), leaf }
    }

    fn ask(&self, item: Item, transparency: Transparency) -> Told {
        let table = self.pki.table_with(TRUST, &[self.clock.listed()]);
        told(&Question::new(vec![table], vec![identity(transparency)]).ask(vec![item]))
    }

    fn at(&self, entry: Entry, time: &str, transparency: Transparency) -> Told {
        let signed = self.pki.bundle(&self.leaf, MANIFEST, entry);
        let token = self.clock.token(&signature_of(&signed), time);
        self.ask(bundle(&stamped(signed, &token)), transparency)
    }
}

#[test]
fn of_a_logs_time_and_a_timestamp_the_earlier_is_the_signatures() {
    let keyless = Keyless::new();
    for (time, expected, clock) in [
        (BEFORE, "2026-11-24T11:59:00Z", Clock::TimestampAuthority),
        (SAME, LOGGED, Clock::Log),
        (AFTER, LOGGED, Clock::Log),
    ] {
        let told = keyless.at(Entry::Whole, time, Transparency::Required);
        assert_eq!(told, at(Logged::Yes, expected, clock), "{time}");
    }
}

#[test]
fn where_no_entry_is_demanded_a_timestamp_alone_is_the_time() {
    let keyless = Keyless::new();
    let alone = at(Logged::No(Code::LogEntryMissing), "2026-11-24T11:59:00Z", Clock::TimestampAuthority);
    assert_eq!(keyless.at(Entry::Absent, BEFORE, Transparency::None), alone);
    assert_eq!(keyless.at(Entry::Absent, BEFORE, Transparency::Optional), alone);
    let demanded = keyless.at(Entry::Absent, BEFORE, Transparency::Required);
    assert_eq!(demanded, Err(Code::LogEntryMissing));
}

#[test]
fn a331_a_timestamp_by_another_authority_gives_no_time_and_spoils_no_entry() {
    let keyless = Keyless::new();
    let signed = keyless.pki.bundle(&keyless.leaf, MANIFEST, Entry::Whole);
    let other = keyless.clock.token(b"another signature", BEFORE);
    let stranger = Authority::new().token(&signature_of(&signed), BEFORE);
    for token in [&other, &stranger] {
        let told = keyless.ask(bundle(&stamped(signed.clone(), token)), Transparency::Required);
        assert_eq!(told, at(Logged::Yes, LOGGED, Clock::Log));
    }
    let unlogged = keyless.pki.bundle(&keyless.leaf, MANIFEST, Entry::Absent);
    let told = keyless.ask(bundle(&stamped(unlogged, &other)), Transparency::None);
    assert_eq!(told, Err(Code::TimestampMismatch));
}

#[test]
fn a326_a_timestamp_outside_the_certificate_refutes_a_logged_signature() {
    let keyless = Keyless::new();
    let told = keyless.at(Entry::Whole, LATE, Transparency::Required);
    assert_eq!(told, Err(Code::TimeOutsideCertificate));
}

#[test]
fn what_is_no_token_at_all_makes_the_bundle_malformed() {
    let keyless = Keyless::new();
    let signed = keyless.pki.bundle(&keyless.leaf, MANIFEST, Entry::Whole);
    let torn = bundle(&stamped(signed, "not base64"));
    assert_eq!(keyless.ask(torn, Transparency::Required), Err(Code::BundleInvalid));
}

/// An `.att` layer with an entry of the oldest kind and a token over the layer, as cosign stamps it, or over something else.
fn oldest(keyless: &Keyless, time: &str, over: Option<&[u8]>) -> Item {
    let Attached { envelope, mut annotations, .. } = Attached::new(&keyless.pki, &keyless.leaf);
    let token = keyless.clock.token(over.unwrap_or(&envelope), time);
    let token = json!({ "SignedRFC3161Timestamp": token }).to_string();
    annotations.insert("dev.sigstore.cosign/rfc3161timestamp".to_owned(), token);
    Item::Dsse { envelope, annotations }
}

#[test]
fn beside_an_entry_that_the_library_does_not_read_a_timestamp_counts_alike() {
    let keyless = Keyless::new();
    let ask = |time, over| keyless.ask(oldest(&keyless, time, over), Transparency::Required);
    let earlier = at(Logged::Yes, "2026-11-24T11:59:00Z", Clock::TimestampAuthority);
    assert_eq!(ask(BEFORE, None), earlier);
    assert_eq!(ask(AFTER, None), at(Logged::Yes, LOGGED, Clock::Log));
    let other: Option<&[u8]> = Some(b"another signature");
    assert_eq!(ask(BEFORE, other), at(Logged::Yes, LOGGED, Clock::Log), "spoils no entry, gives no time");
    assert_eq!(ask(LATE, None), Err(Code::TimeOutsideCertificate), "speaks against it");
}

#[test]
fn the_fault_of_such_an_entry_is_reported_before_that_of_its_timestamp() {
    let keyless = Keyless::new();
    let unsigned = |over| {
        let Item::Dsse { envelope, mut annotations } = oldest(&keyless, BEFORE, over) else { unreachable!() };
        let entry = annotations.get_mut("dev.sigstore.cosign/bundle").unwrap();
        let mut changed: Value = serde_json::from_str(entry).unwrap();
        changed["SignedEntryTimestamp"] = json!("AAAA");
        *entry = changed.to_string();
        keyless.ask(Item::Dsse { envelope, annotations }, Transparency::Required)
    };
    assert_eq!(unsigned(None), Err(Code::SetInvalid));
    assert_eq!(unsigned(Some(b"another signature")), Err(Code::SetInvalid));
}

struct Keyed {
    pki: Pki,
    clock: Authority,
    signer: KeyPair,
}

impl Keyed {
    fn new(algorithm: &'static rcgen::SignatureAlgorithm) -> Self {
        Self { pki: Pki::new(), clock: Authority::new(), signer: key(algorithm) }
    }

    fn table(&self) -> TrustTable {
        self.pki.table_with(TRUST, &[self.clock.listed()])
    }

    fn question(&self, tables: Vec<TrustTable>, transparency: Transparency) -> Question {
        let public = PublicKey::from_file(&self.signer.subject_public_key_info()).unwrap().remove(0);
        Question::new(tables, vec![]).with_key(public, transparency)
    }

    fn bundle(&self) -> Value {
        self.pki.keyed_bundle(&self.signer, MANIFEST, Entry::Whole)
    }

    /// A bundle with its entry and a token of this time.
    fn at(&self, time: &str) -> Item {
        let signed = self.bundle();
        let token = self.clock.token(&signature_of(&signed), time);
        bundle(&stamped(signed, &token))
    }

    fn ask(&self, item: Item, transparency: Transparency) -> Told {
        told(&self.question(vec![self.table()], transparency).ask(vec![item]))
    }
}

/// Every kind of key. The library does not know P-521, nor P-384 with the hash that cosign took before 2.6.
const KINDS: [&rcgen::SignatureAlgorithm; 5] = [
    &rcgen::PKCS_ECDSA_P256_SHA256,
    &rcgen::PKCS_ECDSA_P384_SHA384,
    &rcgen::PKCS_ECDSA_P521_SHA512,
    &rcgen::PKCS_ECDSA_P521_SHA256,
    &rcgen::PKCS_ED25519,
];

#[test]
fn a_keys_signature_has_the_earlier_of_its_logs_time_and_its_timestamp() {
    // The last two are kinds of key whose entries the library does not read.
    for algorithm in
        [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P521_SHA512, &rcgen::PKCS_ECDSA_P521_SHA256]
    {
        let keyed = Keyed::new(algorithm);
        for transparency in [Transparency::Required, Transparency::Optional] {
            assert_eq!(
                keyed.ask(keyed.at(AFTER), transparency),
                at(Logged::Yes, LOGGED, Clock::Log),
                "{algorithm:?}"
            );
        }
    }
    let earlier = at(Logged::Yes, "2026-11-24T11:59:00Z", Clock::TimestampAuthority);
    for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P521_SHA512] {
        let keyed = Keyed::new(algorithm);
        assert_eq!(keyed.ask(keyed.at(BEFORE), Transparency::Required), earlier, "{algorithm:?}");
    }
}

#[test]
fn where_the_log_is_not_looked_at_a_keys_timestamp_is_its_time() {
    for algorithm in KINDS {
        let keyed = Keyed::new(algorithm);
        let missing = Logged::No(Code::LogEntryMissing);
        let told = keyed.ask(keyed.at(AFTER), Transparency::None);
        assert_eq!(told, at(missing, "2026-11-24T12:01:00Z", Clock::TimestampAuthority), "{algorithm:?}");
        let without = keyed.ask(bundle(&keyed.bundle()), Transparency::None);
        assert_eq!(without, Ok((missing, None, None)));
        for token in [
            keyed.clock.token(b"another signature", AFTER),
            Authority::new().token(&signature_of(&keyed.bundle()), AFTER),
        ] {
            let told = keyed.ask(bundle(&stamped(keyed.bundle(), &token)), Transparency::None);
            assert_eq!(told, Ok((missing, None, None)), "{algorithm:?}");
        }
    }
}

#[test]
fn a_bad_timestamp_spoils_no_keys_entry() {
    let keyed = Keyed::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    let other = stamped(keyed.bundle(), &keyed.clock.token(b"another signature", BEFORE));
    let told = keyed.ask(bundle(&other), Transparency::Required);
    assert_eq!(told, at(Logged::Yes, LOGGED, Clock::Log));
    let torn = stamped(keyed.bundle(), "not base64");
    assert_eq!(keyed.ask(bundle(&torn), Transparency::Required), Err(Code::BundleInvalid), "not even base64");
}

#[test]
fn a_key_under_two_tables_has_only_what_both_say() {
    let keyed = Keyed::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    // One table has neither log nor timestamp authority of the other.
    for (ours, theirs) in [(TRUST, "zz"), ("zz", TRUST)] {
        let tables = vec![keyed.pki.table_with(ours, &[keyed.clock.listed()]), Pki::new().table(theirs)];
        let mut question = keyed.question(tables, Transparency::Required);
        let mut second = question.authorities[0].clone();
        second.trust = Name::new("zz");
        question.authorities.push(second);
        let told = told(&question.ask(vec![keyed.at(BEFORE)]));
        let Ok((logged, time, _)) = told else { panic!("{told:?}") };
        assert_eq!((logged, time), (Logged::No(Code::LogUnknown), None), "{ours}");
    }
    let tables = vec![keyed.table(), keyed.pki.table_with("zz", &[keyed.clock.listed()])];
    let mut question = keyed.question(tables, Transparency::Required);
    let mut second = question.authorities[0].clone();
    second.trust = Name::new("zz");
    question.authorities.push(second);
    let earlier = at(Logged::Yes, "2026-11-24T11:59:00Z", Clock::TimestampAuthority);
    assert_eq!(told(&question.ask(vec![keyed.at(BEFORE)])), earlier);
}
