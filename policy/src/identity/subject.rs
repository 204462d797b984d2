//! Subjects of certificates, as authorities of kind Notation ask for them (Notary Project, "Trusted Identities
//! Constraints"): some attributes, each with its whole value.

use std::collections::BTreeMap;
use std::fmt;

use crate::limits;
use crate::text;

/// Attributes by name, each once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject(BTreeMap<String, String>);

/// Why a text is no subject that may be asked for. It never repeats the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubjectFault {
    /// Bytes in hexadecimal (`=#…`), of which no certificate's text is made (A674).
    #[error("a value in hexadecimal, which is compared with nothing")]
    Hex,
    /// An attribute that every subject must have here is not there.
    #[error("the attribute {0} is missing: C, ST and O are the least that names somebody")]
    Missing(&'static str),
    /// Several values in one set.
    #[error("a set of several values (`+`)")]
    Several,
    /// Not of the form.
    #[error("not of the form `C=DE, ST=Berlin, O=Corp` (RFC 4514)")]
    Syntax,
    /// Over `subject_bytes` or `subject_attributes`.
    #[error("more than {} bytes or {} attributes", limits::SUBJECT_BYTES, limits::SUBJECT_ATTRIBUTES)]
    TooLong,
    /// An attribute stands twice.
    #[error("an attribute stands twice")]
    Twice,
    /// An attribute of another name.
    #[error("an attribute of a name that is not known")]
    Unknown,
}

/// The attributes that can be asked for, by name and object identifier.
const KNOWN: [(&str, &str); 11] = [
    ("C", "2.5.4.6"),
    ("CN", "2.5.4.3"),
    ("DC", "0.9.2342.19200300.100.1.25"),
    ("L", "2.5.4.7"),
    ("O", "2.5.4.10"),
    ("OU", "2.5.4.11"),
    ("POSTALCODE", "2.5.4.17"),
    ("SERIALNUMBER", "2.5.4.5"),
    ("ST", "2.5.4.8"),
    ("STREET", "2.5.4.9"),
    ("UID", "0.9.2342.19200300.100.1.1"),
];

/// What names somebody at the least.
const COMPULSORY: [&str; 3] = ["C", "ST", "O"];

impl Subject {
    /// Reads a subject that an authority asks for.
    ///
    /// # Errors
    /// [`SubjectFault`] names the first fault.
    pub fn asked(text: &str) -> Result<Self, SubjectFault> {
        if text.len() > limits::SUBJECT_BYTES {
            return Err(SubjectFault::TooLong);
        }
        let mut attributes = BTreeMap::new();
        for part in split(text)? {
            let (name, value) = part.split_once('=').ok_or(SubjectFault::Syntax)?;
            let name = known(name.trim()).ok_or(SubjectFault::Unknown)?;
            if attributes.insert(name.to_owned(), value_of(value)?).is_some() {
                return Err(SubjectFault::Twice);
            }
        }
        if attributes.len() > limits::SUBJECT_ATTRIBUTES {
            return Err(SubjectFault::TooLong);
        }
        match COMPULSORY.iter().find(|name| !attributes.contains_key(**name)) {
            Some(missing) => Err(SubjectFault::Missing(missing)),
            None => Ok(Self(attributes)),
        }
    }

    /// The subject of a certificate: each attribute by its object identifier, with its value where that is a text. None
    /// where an attribute stands twice: two readers could take two different ones.
    #[must_use]
    pub fn of_certificate(attributes: impl IntoIterator<Item = (String, Option<String>)>) -> Option<Self> {
        let mut read: BTreeMap<String, Option<String>> = BTreeMap::new();
        for (oid, value) in attributes {
            let name = KNOWN.iter().find(|(_, known)| *known == oid).map_or(oid.as_str(), |(name, _)| name);
            if read.insert(name.to_owned(), value).is_some() || read.len() > limits::SUBJECT_ATTRIBUTES {
                return None;
            }
        }
        Some(Self(read.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()))
    }

    /// Whether every attribute of this one is in the other with an equal value.
    #[must_use]
    pub fn is_part_of(&self, other: &Self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|(name, value)| other.0.get(name) == Some(value))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<_> =
            self.0.iter().map(|(name, value)| format!("{name}={}", text::escape(value))).collect();
        f.write_str(&shown.join(", "))
    }
}

/// `S` is another word for `ST`, as Windows writes it.
fn known(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_uppercase();
    let name = if name == "S" { "ST" } else { name.as_str() };
    KNOWN.iter().map(|(known, _)| *known).find(|known| *known == name)
}

/// The parts between commas that are not escaped.
fn split(text: &str) -> Result<Vec<&str>, SubjectFault> {
    let (mut parts, mut begin, mut escaped) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '+' => return Err(SubjectFault::Several),
            '"' | ';' | '<' | '>' | '\0' => return Err(SubjectFault::Syntax),
            ',' => {
                parts.push(text.get(begin..at).ok_or(SubjectFault::Syntax)?);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text.get(begin..).ok_or(SubjectFault::Syntax)?);
    if escaped { Err(SubjectFault::Syntax) } else { Ok(parts) }
}

/// A value without its escapes: a backslash stands before a character that means something, or two digits of a byte.
/// Blanks around it are none of it unless they are escaped.
fn value_of(written: &str) -> Result<String, SubjectFault> {
    let written = written.trim_start_matches(' ');
    if written.starts_with('#') {
        return Err(SubjectFault::Hex);
    }
    let mut bytes = Vec::new();
    // Up to where blanks at the end were escaped, or are none.
    let mut kept = 0;
    let mut rest = written.chars();
    while let Some(c) = rest.next() {
        let mut push = |c: char| bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        match c {
            '\\' => match rest.next().ok_or(SubjectFault::Syntax)? {
                c if " \"#+,;<=>\\".contains(c) => push(c),
                first => {
                    let pair = [Some(first), rest.next()].map(|digit| digit.and_then(|c| c.to_digit(16)));
                    let [Some(high), Some(low)] = pair else { return Err(SubjectFault::Syntax) };
                    bytes.push(u8::try_from(high * 16 + low).map_err(|_| SubjectFault::Syntax)?);
                }
            },
            ' ' => {
                push(' ');
                continue;
            }
            c => push(c),
        }
        kept = bytes.len();
    }
    bytes.truncate(kept);
    let value = String::from_utf8(bytes).map_err(|_| SubjectFault::Syntax)?;
    if value.is_empty() || value.chars().any(text::is_unsafe) { Err(SubjectFault::Syntax) } else { Ok(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(attributes: &[(&str, &str)]) -> Option<Subject> {
        let oid = |name: &str| {
            let known = KNOWN.iter().find(|(known, _)| *known == name);
            known.map_or(name.to_owned(), |(_, oid)| (*oid).to_owned())
        };
        let listed = attributes.iter().map(|(name, value)| (oid(name), Some((*value).to_owned())));
        Subject::of_certificate(listed)
    }

    const SIGNER: [(&str, &str); 5] = [
        ("C", "DE"),
        ("ST", "Berlin"),
        ("O", "Granary, Mills & Sons"),
        ("OU", "Release"),
        ("CN", "signer+1"),
    ];

    #[test]
    fn a674_a_subject_is_part_of_another_by_whole_values_in_any_order() {
        let signer = certificate(&SIGNER).unwrap();
        for (text, is) in [
            (r"C=DE, ST=Berlin, O=Granary\, Mills & Sons, OU=Release, CN=signer\+1", true),
            (r"CN=signer\+1,O=Granary\2c Mills & Sons,S=Berlin,C=DE", true),
            (r"c = DE , st = Berlin , o = Granary\, Mills & Sons ", true),
            (r"C=DE, ST=Berlin, O=Granary\, Mills & Sons, L=Berlin", false),
            (r"C=DE, ST=berlin, O=Granary\, Mills & Sons", false),
            (r"C=DE, ST=Berlin, O=Granary\, Mills & Sons\ ", false),
            (r"C=DE, ST=Berlin, O=Granary\, Mills", false),
            (r"C=DE, ST=Berlin, O=Granary\, Mills & Sons, CN=signer", false),
        ] {
            assert_eq!(Subject::asked(text).unwrap().is_part_of(&signer), is, "{text}");
        }
    }

    #[test]
    fn a674_a_text_that_is_no_subject_has_its_fault() {
        for (text, fault) in [
            ("C=DE, O=Corp", SubjectFault::Missing("ST")),
            ("ST=Berlin, O=Corp", SubjectFault::Missing("C")),
            ("C=DE, ST=Berlin, CN=x", SubjectFault::Missing("O")),
            ("C=DE, ST=Berlin, O=Corp, O=Other", SubjectFault::Twice),
            ("C=DE, S=Berlin, ST=Berlin, O=Corp", SubjectFault::Twice),
            ("C=DE, ST=Berlin, O=Corp+OU=x", SubjectFault::Several),
            ("C=DE, ST=Berlin, O=#1303425552", SubjectFault::Hex),
            ("C=DE, ST=Berlin, O= #1303425552", SubjectFault::Hex),
            ("C=DE, ST=Berlin, O=Corp, X=1", SubjectFault::Unknown),
            ("C=DE, ST=Berlin, O=Corp, 2.5.4.3=x", SubjectFault::Unknown),
            ("C=DE, ST=Berlin, O=", SubjectFault::Syntax),
            ("C=DE, ST=Berlin, O=Corp,", SubjectFault::Syntax),
            ("C=DE, ST=Berlin, O=Corp; CN=x", SubjectFault::Syntax),
            ("C=DE, ST=Berlin, O=\"Corp\"", SubjectFault::Syntax),
            (r"C=DE, ST=Berlin, O=Corp\", SubjectFault::Syntax),
            (r"C=DE, ST=Berlin, O=Co\rp", SubjectFault::Syntax),
            (r"C=DE, ST=Berlin, O=\1b[2J", SubjectFault::Syntax),
            ("", SubjectFault::Syntax),
            ("*", SubjectFault::Syntax),
        ] {
            assert_eq!(Subject::asked(text), Err(fault), "{text}");
        }
    }

    #[test]
    fn a674_an_attribute_twice_is_nobody_and_other_attributes_do_no_harm() {
        let asked = Subject::asked("C=DE, ST=Berlin, O=Corp").unwrap();
        let base = [("C", "DE"), ("ST", "Berlin"), ("O", "Corp")];
        let with = |more: &[(&str, &str)]| certificate(&[&base[..], more].concat());
        assert!(asked.is_part_of(&with(&[("1.2.840.113549.1.9.1", "a@corp.example")]).unwrap()));
        assert_eq!(with(&[("O", "Other")]), None);
        assert_eq!(with(&[("OU", "a"), ("OU", "b")]), None);
        let unread = Subject::of_certificate([("2.5.4.10".to_owned(), None)]).unwrap();
        assert!(!asked.is_part_of(&unread) && !unread.is_part_of(&asked), "nothing is part of nothing");
    }

    #[test]
    fn a674_bytes_and_attributes_of_a_subject_are_limited_by_one() {
        let of = |bytes: usize| {
            let base = "C=DE, ST=Berlin, O=";
            format!("{base}{}", "x".repeat(bytes - base.len()))
        };
        assert!(Subject::asked(&of(limits::SUBJECT_BYTES)).is_ok());
        assert_eq!(Subject::asked(&of(limits::SUBJECT_BYTES + 1)), Err(SubjectFault::TooLong));
        let many = |count: usize| {
            Subject::of_certificate((0..count).map(|n| (format!("1.2.{n}"), Some("x".to_owned()))))
        };
        assert!(many(limits::SUBJECT_ATTRIBUTES).is_some());
        assert_eq!(many(limits::SUBJECT_ATTRIBUTES + 1), None);
    }

    #[test]
    fn a674_a_subject_is_shown_with_every_control_character_escaped() {
        let shown = certificate(&[("CN", "a\u{1b}[2J"), ("C", "DE")]).unwrap().to_string();
        assert_eq!(shown, "C=DE, CN=a\\u{1b}[2J");
    }
}
