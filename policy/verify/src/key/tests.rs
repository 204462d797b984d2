use rcgen::{KeyPair, PublicKeyData as _};
use x509_cert::der::asn1::{Any, UintRef};

use super::*;
use crate::artifact::Artifact;

fn pair() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", encoding::encode(der))
}

fn fault(bytes: &[u8]) -> KeyFault {
    PublicKey::from_file(bytes).unwrap_err()
}

/// PKCS#1 of a modulus with this many bits, all set, and an exponent.
fn pkcs1(bits: usize, exponent: &[u8]) -> Vec<u8> {
    let mut modulus = vec![0xff; bits / 8];
    if !bits.is_multiple_of(8) {
        modulus.insert(0, 0xff >> (8 - bits % 8));
    }
    let mut body = UintRef::new(&modulus).unwrap().to_der().unwrap();
    body.extend(UintRef::new(exponent).unwrap().to_der().unwrap());
    Any::new(x509_cert::der::Tag::Sequence, body).unwrap().to_der().unwrap()
}

#[test]
fn a233_one_key_in_pem_and_der_is_one_id() {
    let der = pair().subject_public_key_info();
    let from_der = PublicKey::from_file(&der).unwrap()[0].id();
    let text = pem("PUBLIC KEY", &der);
    assert_eq!(PublicKey::from_file(text.as_bytes()).unwrap()[0].id(), from_der);
    assert_eq!(PublicKey::from_file(text.replace('\n', "\r\n").as_bytes()).unwrap()[0].id(), from_der);
    assert_eq!(from_der, KeyId::of_spki(&der), "rcgen writes canonical DER");
}

#[test]
fn a233_an_rsa_key_in_pkcs1_and_spki_is_one_id() {
    let der = pkcs1(2048, &[1, 0, 1]);
    let from_pkcs1 = PublicKey::from_file(pem("RSA PUBLIC KEY", &der).as_bytes()).unwrap().remove(0);
    let from_spki = PublicKey::from_file(from_pkcs1.spki()).unwrap().remove(0);
    assert_eq!(from_pkcs1.id(), from_spki.id());
}

#[test]
fn a_file_may_hold_several_keys_and_one_bad_one_is_a_fault() {
    let good = pem("PUBLIC KEY", &pair().subject_public_key_info());
    let other = pem("PUBLIC KEY", &pair().subject_public_key_info());
    assert_eq!(PublicKey::from_file([good.as_str(), &other].concat().as_bytes()).unwrap().len(), 2);
    assert_eq!(fault([good.as_str(), &pem("PUBLIC KEY", b"x")].concat().as_bytes()), KeyFault::Garbage);
    assert_eq!(fault(good.trim_end().trim_end_matches('-').as_bytes()), KeyFault::Garbage);
}

#[test]
fn what_is_no_public_key_is_named_and_never_repeated() {
    assert_eq!(fault(b""), KeyFault::Empty);
    assert_eq!(fault(b" \n"), KeyFault::Empty);
    assert_eq!(fault(b"not a key"), KeyFault::Garbage);
    assert_eq!(fault(pem("PUBLIC KEY", b"x").as_bytes()), KeyFault::Garbage);
    let private = pair().serialize_der();
    for label in ["PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED SIGSTORE PRIVATE KEY"] {
        let text = pem(label, &private);
        assert_eq!(fault(text.as_bytes()), KeyFault::PrivateKey);
        assert!(!fault(text.as_bytes()).to_string().contains(&encoding::encode(&private)));
    }
    assert_eq!(fault(&private), KeyFault::PrivateKey);
    let params = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    let certificate = params.self_signed(&pair()).unwrap();
    assert_eq!(fault(certificate.der()), KeyFault::Certificate);
    assert_eq!(fault(pem("CERTIFICATE", certificate.der()).as_bytes()), KeyFault::Certificate);
    assert!(matches!(fault(pem("PGP PUBLIC KEY BLOCK", b"x").as_bytes()), KeyFault::Unsupported(_)));
    let limit = usize::try_from(limits::KEY_FILE_BYTES).unwrap();
    assert_eq!(fault(&vec![b'x'; limit]), KeyFault::Garbage);
    assert_eq!(fault(&vec![b'x'; limit + 1]), KeyFault::TooLarge);
}

#[test]
fn a251_rsa_is_of_2048_to_4096_bits_with_a_sane_exponent() {
    let read = |bits, exponent: &[u8]| {
        PublicKey::from_file(pem("RSA PUBLIC KEY", &pkcs1(bits, exponent)).as_bytes())
    };
    for bits in [2048, 3072, 4096] {
        assert!(read(bits, &[1, 0, 1]).is_ok(), "{bits}");
    }
    for bits in [512, 1024, 2047, 4097, 16384] {
        assert!(matches!(read(bits, &[1, 0, 1]), Err(KeyFault::Unsupported(_))), "{bits}");
    }
    for exponent in [&[1][..], &[3], &[1, 0, 0], &[1, 0, 0, 0, 0, 1]] {
        assert!(matches!(read(2048, exponent), Err(KeyFault::Unsupported(_))), "{exponent:?}");
    }
}

#[test]
fn a251_other_curves_and_points_off_the_curve_are_refused() {
    let der = pair().subject_public_key_info();
    let mut off = der.clone();
    let last = off.len() - 1;
    off[last] ^= 1;
    assert_eq!(fault(&off), KeyFault::Garbage);
    let mut spki = SubjectPublicKeyInfoOwned::from_der(&der).unwrap();
    let secp256k1 = x509_cert::der::asn1::ObjectIdentifier::new_unwrap("1.3.132.0.10");
    spki.algorithm.parameters = Some(Any::encode_from(&secp256k1).unwrap());
    assert!(matches!(fault(&spki.to_der().unwrap()), KeyFault::Unsupported(_)));
    spki.algorithm.parameters = None;
    assert!(matches!(fault(&spki.to_der().unwrap()), KeyFault::Unsupported(_)));
}

#[test]
fn a403_half_a_key_file_is_a_fault_and_never_no_key() {
    let pem = include_str!("../../../../tests/fixtures/live/keys/release.pub");
    assert_eq!(PublicKey::from_file(pem.as_bytes()).unwrap().len(), 1);
    for cut in 1..pem.trim_end().len() {
        assert!(PublicKey::from_file(&pem.as_bytes()[..cut]).is_err(), "{cut} bytes of it");
    }
    let (half, _) = pem.split_at(pem.len() / 2);
    for end in [half, "-----BEGIN PUBLIC KEY--", "-----END PUBLIC KEY", "-----"] {
        assert!(PublicKey::from_file(format!("{pem}{end}").as_bytes()).is_err(), "a whole one and {end}");
    }
}

#[test]
fn a252_ed25519_counts_plain_and_prehashed_and_in_one_form_only() {
    // RFC 8032, section 7.3: Ed25519ph over "abc".
    let raw = hex::decode("ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf").unwrap();
    let signature = hex::decode(concat!(
        "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41",
        "31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406"
    ))
    .unwrap();
    let spki = [&hex::decode("302a300506032b6570032100").unwrap()[..], &raw].concat();
    let key = PublicKey::from_file(&spki).unwrap().remove(0);
    assert!(key.verifies(&Artifact::Bytes(b"abc").kept(), &signature));
    assert!(!key.verifies(&Artifact::Bytes(b"abd").kept(), &signature));
    // S above the group's order: the same point, another form (RFC 8032, section 5.1.7).
    let order = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
    let mut other = signature.clone();
    let mut carry = 0;
    for (byte, add) in other[32..].iter_mut().zip(&order) {
        let sum = u16::from(*byte) + u16::from(*add) + carry;
        (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
    }
    assert!(!key.verifies(&Artifact::Bytes(b"abc").kept(), &other));
    // A key of small order verifies signatures of anything.
    let identity = [&[1][..], &[0; 31]].concat();
    let small = [&hex::decode("302a300506032b6570032100").unwrap()[..], &identity].concat();
    assert_eq!(fault(&small), KeyFault::Unsupported("an Ed25519 key of small order".to_owned()));
}

#[test]
fn a_key_file_in_der_that_happens_to_be_text_is_read() {
    let spki = [hex::decode("302a300506032b6570032100").unwrap(), vec![b'b'; 32]].concat();
    assert!(std::str::from_utf8(&spki).is_ok());
    assert_eq!(PublicKey::from_file(&spki).unwrap()[0].spki(), spki);
}

#[test]
fn an_exponent_of_five_bytes_is_the_largest_and_an_even_modulus_is_none() {
    let read =
        |der: &[u8]| PublicKey::from_file(pem("RSA PUBLIC KEY", der).as_bytes()).map(|keys| keys.len());
    assert_eq!(read(&pkcs1(2048, &[1, 0, 0, 0, 1])), Ok(1));
    let unsafe_key = Err(KeyFault::Unsupported("RSA with an unsafe modulus or exponent".to_owned()));
    for exponent in [&[1][..], &[2], &[3], &[1, 0, 0], &[1, 0, 0, 0, 0, 1]] {
        assert_eq!(read(&pkcs1(2048, exponent)), unsafe_key, "{exponent:?}");
    }
    let mut even = pkcs1(2048, &[1, 0, 1]);
    // The last byte of the modulus, before the exponent's five.
    let last = even.len() - 6;
    even[last] = 0xfe;
    assert_eq!(read(&even), unsafe_key);
}

#[test]
fn a_compressed_point_is_refused_by_name() {
    let der = pair().subject_public_key_info();
    let mut spki = SubjectPublicKeyInfoOwned::from_der(&der).unwrap();
    let raw = spki.subject_public_key.raw_bytes().to_vec();
    let sign = if raw[64] % 2 == 0 { 2 } else { 3 };
    let compressed = [&[sign], &raw[1..33]].concat();
    spki.subject_public_key = x509_cert::der::asn1::BitString::from_bytes(&compressed).unwrap();
    let expected = KeyFault::Unsupported("a compressed curve point".to_owned());
    assert_eq!(fault(&spki.to_der().unwrap()), expected);
}

#[test]
fn der_that_begins_with_no_version_is_no_private_key() {
    // Octets, an empty sequence, and sequences that begin with a text, a long number and a short one.
    for (text, expected) in [
        ("0400", KeyFault::Garbage),
        ("3000", KeyFault::Garbage),
        ("30030c0161", KeyFault::Garbage),
        ("300402020100", KeyFault::Garbage),
        ("3003020101", KeyFault::PrivateKey),
    ] {
        assert_eq!(fault(&hex::decode(text).unwrap()), expected, "{text}");
    }
}

#[test]
fn a252_ecdsa_is_read_in_both_encodings_by_who_signs_and_in_der_alone_by_logs() {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
    let raw = pair.public_key().as_ref();
    let spki = Algorithm::EcdsaP256.canonical(raw).unwrap().to_der().unwrap();
    let key = PublicKey::from_der(&spki).unwrap();
    let (message, other) = (Artifact::Bytes(b"abc").kept(), Artifact::Bytes(b"abd").kept());
    let numbers = pair.sign(&random, b"abc").unwrap().as_ref().to_vec();
    let der = Algorithm::EcdsaP256.in_der(&numbers).unwrap();
    for signature in [&numbers, &der] {
        assert!(key.signed(&message, signature) && !key.signed(&other, signature));
        assert!(PublicKey::is_encoded(signature));
    }
    assert!(key.verifies(&message, &der) && !key.verifies(&message, &numbers), "a log writes DER");
    let longer = [&numbers[..], &[0]].concat();
    let (zero, swapped) = ([&[0; 32], &numbers[32..]].concat(), [&numbers[32..], &numbers[..32]].concat());
    for signature in [&longer, &zero, &swapped, &[&der[..], &[0]].concat()] {
        assert!(!key.signed(&message, signature), "{}", hex::encode(signature));
    }
    for signature in [&b""[..], b"MEUCIQ", &longer, &der[1..], &[&der[..], &[0]].concat()] {
        assert!(!PublicKey::is_encoded(signature), "{}", hex::encode(signature));
    }
}
