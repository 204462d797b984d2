use super::*;

/// A list of one SCT (RFC 6962, section 3.2) with this version and scheme, and what may follow in the SCT and in the list.
fn list(version: u8, scheme: [u8; 2], in_sct: &[u8], in_list: &[u8], behind: &[u8]) -> Vec<u8> {
    let mut sct = vec![version];
    sct.extend([7; 32]);
    sct.extend([0, 0, 1, 2, 3, 4, 5, 6]);
    sct.extend([0, 2, 0xaa, 0xbb]);
    sct.extend(scheme);
    sct.extend([0, 3, 0xcc, 0xdd, 0xee]);
    sct.extend(in_sct);
    let mut one = u16::try_from(sct.len()).unwrap().to_be_bytes().to_vec();
    one.extend(sct);
    one.extend(in_list);
    let mut list = u16::try_from(one.len()).unwrap().to_be_bytes().to_vec();
    list.extend(one);
    list.extend(behind);
    list
}

const ECDSA: [u8; 2] = [4, 3];

/// The only one of a list.
fn only(list: &[u8]) -> Option<Sct> {
    let mut all = Sct::all(list)?;
    let first = all.pop();
    first.filter(|_| all.is_empty())
}

#[test]
fn an_sct_is_read_field_by_field() {
    let sct = only(&list(0, ECDSA, &[], &[], &[])).unwrap();
    assert_eq!((sct.log, sct.timestamp), ([7; 32], 0x0000_0102_0304_0506));
    assert_eq!((sct.extensions, sct.signature), (vec![0xaa, 0xbb], vec![0xcc, 0xdd, 0xee]));
}

#[test]
fn each_scheme_of_certificate_logs_is_known_and_no_other() {
    for scheme in [[4, 3], [5, 3], [6, 3], [4, 1], [5, 1], [6, 1]] {
        assert!(only(&list(0, scheme, &[], &[], &[])).is_some(), "{scheme:?}");
    }
    for scheme in [[0, 0], [2, 3], [3, 4], [4, 2]] {
        assert!(only(&list(0, scheme, &[], &[], &[])).is_none(), "{scheme:?}");
    }
}

#[test]
fn each_sct_of_a_list_is_read() {
    let one = list(0, ECDSA, &[], &[], &[]);
    let two = list(0, ECDSA, &[], &one[2..], &[]);
    assert_eq!(Sct::all(&two).unwrap().len(), 2);
    assert!(Sct::all(&[0, 0]).is_none(), "an empty list");
}

#[test]
fn another_version_and_bytes_that_nobody_reads_are_none() {
    assert!(Sct::all(&list(1, ECDSA, &[], &[], &[])).is_none(), "another version");
    assert!(Sct::all(&list(0, ECDSA, &[0], &[], &[])).is_none(), "a byte in the SCT");
    assert!(Sct::all(&list(0, ECDSA, &[], &[0, 1, 0], &[])).is_none(), "a second SCT that is none");
    assert!(Sct::all(&list(0, ECDSA, &[], &[], &[0])).is_none(), "a byte behind the list");
    assert!(Sct::all(&list(1, ECDSA, &[], &[], &[0])).is_none(), "both");
    let whole = list(0, ECDSA, &[], &[], &[]);
    for length in 0..whole.len() {
        assert!(Sct::all(&whole[..length]).is_none(), "{length} bytes of it");
    }
}
