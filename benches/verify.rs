//! How long one piece of evidence takes, beside a yardstick of the machine.

use divan::Bencher;
use pullgate_benches::{authority, now, recorded};
use pullgate_policy::oci::Digest;
use pullgate_verify::{Artifact, KeyRing, Request, TrustSet, TrustTable, verify_all};

fn main() {
    divan::main();
}

#[divan::bench]
fn keyed_signature(bencher: Bencher<'_, '_>) {
    let (Ok((subject, found, key)), Ok(table)) = (recorded(), TrustTable::sigstore()) else { return };
    let authority = authority("release", key.id());
    let mut keys = KeyRing::default();
    keys.insert(key);
    let trust = TrustSet::new(vec![table]);
    let (found, authorities) = ([found], [&authority]);
    bencher.bench(|| {
        verify_all(&Request {
            subject,
            artifact: Artifact::Bytes(b""),
            found: &found,
            authorities: &authorities,
            keys: &keys,
            trust: &trust,
            now: now(),
            collected: now(),
        })
    });
}

#[divan::bench]
fn sha256_of_one_mib(bencher: Bencher<'_, '_>) {
    let bytes = vec![7_u8; 1 << 20];
    bencher.bench(|| Digest::of(&bytes));
}
