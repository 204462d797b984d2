//! Signers of the Notary Project's signatures (Notation), and on what terms an authority believes them.

use std::fmt;

use super::{KeyId, Name, Subject};
use crate::text;

/// On what terms the holder of a certificate is believed. What was verified on other terms says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Terms {
    /// When a countersignature is asked for.
    pub timestamp: TimestampAsked,
    /// Whether revocation is looked at.
    pub revocation: RevocationAsked,
}

/// When a timestamp authority must have countersigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TimestampAsked {
    /// Once a certificate of the chain has run out.
    AfterExpiry,
    /// Always.
    Always,
    /// Never: each certificate of the chain holds now.
    Never,
}

/// Whether revocation is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RevocationAsked {
    /// It is not.
    No,
    /// It is; not knowing is as revoked.
    Yes,
}

/// Whom an authority means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subjects {
    /// Everybody whom a store of the trust table vouches for.
    Any,
    /// Whose subject has all that one of these has.
    AnyOf(Vec<Subject>),
}

/// Who signed: the holder of a leaf whose chain holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NotationSigner {
    /// The trust table whose stores vouch for the chain.
    pub trust: Name,
    /// On what terms it was verified.
    pub terms: Terms,
    /// The whole subject (RFC 4514), for people; empty where there is none.
    pub shown: String,
    /// The same in parts; none where no authority can name it.
    pub subject: Option<Subject>,
    /// The certificate's key.
    pub held: KeyId,
}

impl Subjects {
    /// Whether a certificate with this subject is meant.
    #[must_use]
    pub fn include(&self, subject: Option<&Subject>) -> bool {
        match self {
            Self::Any => true,
            Self::AnyOf(asked) => {
                subject.is_some_and(|subject| asked.iter().any(|asked| asked.is_part_of(subject)))
            }
        }
    }
}

impl fmt::Display for NotationSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.shown.is_empty() {
            true => f.write_str("a certificate without a subject")?,
            false => f.write_str(&text::escape(&self.shown))?,
        }
        write!(f, " (x509 \"{}\")", text::escape(self.trust.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::Code;
    use crate::identity::{Authority, By, Principal, Transparency, Uses};

    const TERMS: Terms = Terms { timestamp: TimestampAsked::Never, revocation: RevocationAsked::Yes };

    fn signer(cn: &str) -> NotationSigner {
        let attributes = [("2.5.4.6", "DE"), ("2.5.4.8", "Berlin"), ("2.5.4.10", "Corp"), ("2.5.4.3", cn)];
        let listed = attributes.map(|(oid, value)| (oid.to_owned(), Some(value.to_owned())));
        NotationSigner {
            trust: Name::new("corp"),
            terms: TERMS,
            shown: format!("CN={cn},O=Corp,ST=Berlin,C=DE"),
            subject: Subject::of_certificate(listed),
            held: KeyId::of_spki(cn.as_bytes()),
        }
    }

    fn authority(subjects: Subjects) -> Authority {
        Authority {
            name: Name::new("release"),
            uses: Uses::Signatures,
            transparency: Transparency::None,
            trust: Name::new("corp"),
            by: By::Subjects { subjects, terms: TERMS },
        }
    }

    #[test]
    fn a674_an_authority_means_its_subjects_of_its_table_on_its_terms_and_nobody_else() {
        let asked = |text: &str| Subject::asked(text).unwrap();
        let release = authority(Subjects::AnyOf(vec![
            asked("C=DE, ST=Berlin, O=Other"),
            asked("C=DE, ST=Berlin, O=Corp, CN=ci"),
        ]));
        let recognised = |authority: &Authority, signer: NotationSigner| {
            authority.recognises(&Principal::Notation(signer))
        };
        assert_eq!(recognised(&release, signer("ci")), Ok(()));
        let laxer = Terms { revocation: RevocationAsked::No, ..TERMS };
        let undated = Terms { timestamp: TimestampAsked::AfterExpiry, ..TERMS };
        for stranger in [
            signer("CI"),
            NotationSigner { trust: Name::new("other"), ..signer("ci") },
            NotationSigner { terms: laxer, ..signer("ci") },
            NotationSigner { terms: undated, ..signer("ci") },
            NotationSigner { subject: None, ..signer("ci") },
        ] {
            assert_eq!(recognised(&release, stranger.clone()), Err(Code::UnknownAuthority), "{stranger:?}");
        }
        let any = authority(Subjects::Any);
        assert_eq!(recognised(&any, NotationSigner { subject: None, ..signer("ci") }), Ok(()));
        let other_table = NotationSigner { trust: Name::new("other"), ..signer("ci") };
        assert_eq!(recognised(&any, other_table), Err(Code::UnknownAuthority));
        assert_eq!(any.recognises(&Principal::Key(signer("ci").held)), Err(Code::UnknownAuthority));
        let nobody = authority(Subjects::AnyOf(Vec::new()));
        assert_eq!(recognised(&nobody, signer("ci")), Err(Code::UnknownAuthority), "an empty list is nobody");
    }

    #[test]
    fn a233_one_subject_or_one_key_is_one_signer_in_whatever_table() {
        let share = |one: &NotationSigner, other: &NotationSigner| {
            let marks = |signer: &NotationSigner| Principal::Notation(signer.clone()).marks();
            marks(one).iter().any(|mark| marks(other).contains(mark))
        };
        let other_key =
            NotationSigner { trust: Name::new("other"), held: KeyId::of_spki(b"another"), ..signer("ci") };
        assert!(share(&signer("ci"), &other_key), "one subject");
        assert!(share(&signer("ci"), &NotationSigner { held: signer("ci").held, ..signer("x") }), "one key");
        assert!(!share(&signer("ci"), &signer("x")));
        let key = Principal::Key(signer("ci").held);
        assert!(Principal::Notation(signer("ci")).marks().iter().any(|mark| key.marks().contains(mark)));
    }
}
