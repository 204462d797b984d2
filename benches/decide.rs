//! How long a verdict takes once everything is known.

use divan::Bencher;
use pullgate_benches::{authority, document, evidence, now, policy};
use pullgate_policy::decide;
use pullgate_policy::identity::KeyId;
use pullgate_policy::policy::Governing;
use pullgate_policy::verdict::Subject;

fn main() {
    divan::main();
}

#[divan::bench(args = [1, 16, 256])]
fn verdict(bencher: Bencher<'_, '_>, signatures: usize) {
    let Ok((digest, evidence, authority)) = evidence(signatures) else { return };
    let (Ok(set), Ok(document)) = (policy(&authority, &["r.example/**".to_owned()]), document()) else {
        return;
    };
    let Ok(repository) = "r.example/app".parse() else { return };
    let subject = Subject { repository, digest };
    bencher.bench(|| decide::judge(&set, &subject, document.value(), &evidence, now()));
}

#[divan::bench]
fn policy_among_100_scopes(bencher: Bencher<'_, '_>) {
    let authority = authority("release", KeyId::of_spki(b"key"));
    let scopes: Vec<String> = (0..100).map(|n| format!("r.example/team{n}/**")).collect();
    let (Ok(set), Ok(repository)) = (policy(&authority, &scopes), "r.example/team99/app".parse()) else {
        return;
    };
    bencher.bench(|| matches!(set.governing(&repository), Governing::Policy(..)));
}
