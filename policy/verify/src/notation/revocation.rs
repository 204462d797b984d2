//! Lists of revocations (RFC 5280, section 5): files of a trust table, read when it is loaded. No network is asked, so what
//! no list tells is unknown (A676).

use jiff::Timestamp;
use pullgate_policy::code::Code;
use pullgate_policy::evidence::Revocation;
use pullgate_policy::limits;
use x509_cert::crl::{CertificateList, RevokedCert};
use x509_cert::der::asn1::{GeneralizedTime, ObjectIdentifier};
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::crl::dp::IssuingDistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{AuthorityInfoAccessSyntax, BasicConstraints, CrlDistributionPoints};

use super::chain::Chain;
use super::issued::Issued;
use crate::artifact::SharedArtifact;
use crate::asn1;
use crate::certificate::profile;
use crate::fault::PieceFault;
use crate::key::Way;

const ISSUING_POINT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.28");
const DELTA: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.27");
const POINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.31");
const ACCESS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.1");
const OCSP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1");
const INVALIDITY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.24");
const REASON: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.21");
const CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");

/// One list.
pub(super) struct RevocationList {
    /// The issuer's name, in DER.
    issuer: Vec<u8>,
    /// The same, for people.
    pub(super) shown: String,
    signed: SharedArtifact,
    way: Option<Way>,
    signature: Vec<u8>,
    from: Timestamp,
    pub(super) until: Option<Timestamp>,
    /// About which certificates of its issuer it speaks; none where it is of a kind that is not read.
    about: Option<About>,
    /// Serial numbers in order, and since when each certificate is not to be trusted, where that is told.
    revoked: Vec<(Vec<u8>, Option<Timestamp>)>,
}

/// About which certificates of its issuer a list speaks.
struct About {
    kind: Kind,
    /// Where it is published; anywhere where that is not told.
    points: Vec<GeneralName>,
}

/// Kinds of certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    All,
    Authorities,
    Leaves,
    None,
}

/// What came of looking.
pub(super) struct Looked {
    pub(super) seen: Revocation,
    /// When the first of the lists that counted runs out.
    pub(super) ends: Option<Timestamp>,
}

impl RevocationList {
    /// Reads a list in DER; the error is for people.
    pub(super) fn read(der: &[u8]) -> Result<Self, String> {
        let list =
            CertificateList::from_der(der).map_err(|_| "not a list of revocations (CRL)".to_owned())?;
        let signed = asn1::signed_part(der).ok_or("not a list of revocations (CRL)")?;
        let tbs = list.tbs_cert_list;
        if tbs.signature != list.signature_algorithm {
            return Err("two algorithms for one signature".to_owned());
        }
        let revoked = tbs.revoked_certificates.unwrap_or_default();
        if revoked.len() > limits::REVOKED_CERTIFICATES {
            return Err(format!("more than {} certificates", limits::REVOKED_CERTIFICATES));
        }
        let moment = |time| profile::moment(time).map_err(|fault| fault.detail);
        let (mut about, mut serials) = (about(tbs.crl_extensions.as_deref().unwrap_or_default()), Vec::new());
        for one in revoked {
            // An entry that must be understood and is not may be of another issuer's.
            if is_strange(&one) {
                about = None;
            }
            serials.push((one.serial_number.as_bytes().to_vec(), invalid_since(&one)));
        }
        // Of one that stands twice the harder words count: always, or the earlier date.
        serials.sort();
        serials.dedup_by(|later, first| later.0 == first.0);
        Ok(Self {
            issuer: tbs.issuer.to_der().map_err(|_| "the issuer's name".to_owned())?,
            shown: tbs.issuer.to_string(),
            signed: SharedArtifact::of(signed.to_vec().into()),
            way: Way::of(&list.signature_algorithm),
            signature: list.signature.as_bytes().unwrap_or_default().to_vec(),
            from: moment(tbs.this_update)?,
            until: tbs.next_update.map(moment).transpose()?,
            about,
            revoked: serials,
        })
    }

    /// Whether it counts at `now` of what `issuer` issued: its list, signed by it, and current.
    fn counts(&self, issuer: &Issued, name: &[u8], now: Timestamp) -> bool {
        self.about.is_some()
            && self.issuer == name
            && self.from <= now
            && self.until.is_some_and(|until| now < until)
            && self.way.is_some_and(|way| issuer.key.made(way, &self.signed, &self.signature))
    }

    /// Since when a certificate is not to be trusted, if it is listed: none where that is not told.
    fn lists(&self, one: &Issued) -> Option<Option<Timestamp>> {
        let serial = one.certificate.tbs_certificate.serial_number.as_bytes();
        let at = self.revoked.binary_search_by(|(known, _)| known.as_slice().cmp(serial)).ok()?;
        self.revoked.get(at).map(|(_, since)| *since)
    }

    /// Whether it would list a certificate, if that was revoked.
    fn speaks_of(&self, one: &Issued) -> bool {
        let Some(About { kind, points }) = &self.about else { return false };
        let constraints: Option<BasicConstraints> =
            profile::extension(&one.certificate, CONSTRAINTS).unwrap_or_default();
        let is_authority = constraints.is_some_and(|one| one.ca);
        let of_kind = match kind {
            Kind::All => true,
            Kind::Authorities => is_authority,
            Kind::Leaves => !is_authority,
            Kind::None => false,
        };
        let named = points_of(one);
        of_kind && (points.is_empty() || named.is_empty() || points.iter().any(|point| named.contains(point)))
    }
}

/// Looks at every certificate that has an issuer in the chain. `authentic` is when a signing authority says that it signed.
///
/// # Errors
/// One is revoked, or may be and nothing tells.
pub(super) fn check(
    chain: &Chain<'_>,
    lists: &[RevocationList],
    (authentic, now): (Option<Timestamp>, Timestamp),
) -> Result<Looked, PieceFault> {
    let mut looked = Looked { seen: Revocation::NotRevocable, ends: None };
    for (one, issuer) in chain.links() {
        let name = one.issuer().unwrap_or_default();
        let counting: Vec<_> = lists.iter().filter(|list| list.counts(issuer, &name, now)).collect();
        // The date and the signing time are of one house, under that scheme alone.
        let was_good =
            |since: Option<Timestamp>| since.zip(authentic).is_some_and(|(since, signed)| signed < since);
        if counting.iter().filter_map(|list| list.lists(one)).any(|since| !was_good(since)) {
            let detail = format!("\"{}\" is revoked", one.shown());
            return Err(PieceFault::new(Code::CertificateRevoked, detail));
        }
        let telling = counting.iter().filter(|list| list.speaks_of(one));
        match telling.filter_map(|list| list.until).max() {
            Some(until) => {
                looked.seen = Revocation::NotRevoked;
                looked.ends = looked.ends.into_iter().chain([until]).min();
            }
            None if is_revocable(one) => {
                let detail = format!("of \"{}\" no current list tells", one.shown());
                return Err(PieceFault::new(Code::RevocationUnknown, detail));
            }
            None => {}
        }
    }
    Ok(looked)
}

/// Whether a certificate names a place where its revocation would be told. What cannot be read may.
fn is_revocable(one: &Issued) -> bool {
    let access: Result<Option<AuthorityInfoAccessSyntax>, _> = profile::extension(&one.certificate, ACCESS);
    let by_ocsp = access.map(|access| {
        access.is_some_and(|access| access.0.iter().any(|described| described.access_method == OCSP))
    });
    one.found(POINTS).is_some() || by_ocsp.unwrap_or(true)
}

/// The places that a certificate names.
fn points_of(one: &Issued) -> Vec<GeneralName> {
    let points: Option<CrlDistributionPoints> =
        profile::extension(&one.certificate, POINTS).unwrap_or_default();
    let names = points.map(|points| points.0).unwrap_or_default().into_iter();
    names.filter_map(|point| point.distribution_point).flat_map(full).collect()
}

fn full(name: DistributionPointName) -> Vec<GeneralName> {
    match name {
        DistributionPointName::FullName(names) => names,
        DistributionPointName::NameRelativeToCRLIssuer(_) => Vec::new(),
    }
}

/// About what a list with these extensions speaks; none of a delta, of another's certificates, of some reasons alone, and
/// of what must be understood and is not.
fn about(extensions: &[Extension]) -> Option<About> {
    let strange = |one: &Extension| one.extn_id == DELTA || (one.critical && one.extn_id != ISSUING_POINT);
    if extensions.iter().any(strange) {
        return None;
    }
    let Some(point) = extensions.iter().find(|one| one.extn_id == ISSUING_POINT) else {
        return Some(About { kind: Kind::All, points: Vec::new() });
    };
    let point = IssuingDistributionPoint::from_der(point.extn_value.as_bytes()).ok()?;
    if point.indirect_crl || point.only_some_reasons.is_some() {
        return None;
    }
    let kind = match (
        point.only_contains_user_certs,
        point.only_contains_ca_certs,
        point.only_contains_attribute_certs,
    ) {
        (false, false, false) => Kind::All,
        (true, false, false) => Kind::Leaves,
        (false, true, false) => Kind::Authorities,
        _ => Kind::None,
    };
    Some(About { kind, points: point.distribution_point.map(full).unwrap_or_default() })
}

fn is_strange(one: &RevokedCert) -> bool {
    let extensions = one.crl_entry_extensions.as_deref().unwrap_or_default();
    extensions.iter().any(|one| one.critical && ![INVALIDITY, REASON].contains(&one.extn_id))
}

fn invalid_since(one: &RevokedCert) -> Option<Timestamp> {
    let extensions = one.crl_entry_extensions.as_deref().unwrap_or_default();
    let date = extensions.iter().find(|one| one.extn_id == INVALIDITY)?;
    let date = GeneralizedTime::from_der(date.extn_value.as_bytes()).ok()?;
    let second = i64::try_from(date.to_unix_duration().as_secs()).ok()?;
    Timestamp::from_second(second).ok()
}
