use super::told::Told;
use pullgate_policy::text;

use super::*;
use crate::audit::Facts;
use crate::audit::read::Sum;
use crate::limits::{REPORT_CLIENTS_OF_ONE, REPORT_ENTRIES};

/// One answer: a manifest by its digest, what was said of it, and when.
fn sum(digest: &str, (verdict, ground): (&'static str, &str), at: i64) -> Sum {
    let time = Timestamp::from_second(at).unwrap();
    let facts = Facts {
        kind: "manifest".into(),
        gate: "gate-1".to_owned(),
        repository: "registry.test/org/app".to_owned(),
        reference: "v1".to_owned(),
        digest: digest.to_owned(),
        client: "10.0.0.1".to_owned(),
        verdict: verdict.into(),
        ground: ground.to_owned(),
        ..Facts::default()
    };
    Sum { day: 0, count: 1, first: time, last: time, position: at, facts }
}

fn with(sum: Sum, change: impl FnOnce(&mut Facts)) -> Sum {
    let mut sum = sum;
    change(&mut sum.facts);
    sum
}

fn told(sums: &[Sum]) -> Told {
    let mut told = Told::new(REPORT_ENTRIES);
    sums.iter().for_each(|sum| told.add(sum));
    told
}

const WARNED: (&str, &str) = ("permit", "warn-only");
const SERVED: (&str, &str) = ("permit", "satisfied");
const REFUSED: (&str, &str) = ("deny", "");

fn digests(images: &[Image]) -> Vec<&str> {
    images.iter().map(|image| image.digest.as_str()).collect()
}

#[test]
fn what_was_said_of_a_manifest_the_last_time_counts_whatever_order_days_come_in() {
    for sums in [[sum("a", WARNED, 1), sum("a", SERVED, 2)], [sum("a", SERVED, 2), sum("a", WARNED, 1)]] {
        assert!(told(&sums).images(|one| one.said() == Said::Warned).is_empty(), "it was signed meanwhile");
    }
    let again = told(&[sum("a", SERVED, 1), sum("a", WARNED, 2)]);
    assert_eq!(digests(&again.images(|one| one.said() == Said::Warned)), ["a"]);
    assert_eq!((again.total.permitted, again.total.warned, again.total.pulls), (1, 1, 2));
}

#[test]
fn what_was_pulled_under_an_index_stands_with_it_and_else_by_itself() {
    let child = |digest: &str, said| with(sum(digest, said, 2), |facts| facts.root = "index".to_owned());
    let told = told(&[sum("index", WARNED, 1), child("amd64", WARNED), child("arm64", WARNED)]);
    let images = told.images(|one| one.said() == Said::Warned);
    assert_eq!((digests(&images), images[0].children), (vec!["index"], 2));
    let alone = self::told(&[sum("index", SERVED, 1), child("amd64", WARNED)]);
    assert_eq!(digests(&alone.images(|one| one.said() == Said::Warned)), ["amd64"]);
}

#[test]
fn unsigned_is_what_nobody_signed_and_what_nobody_looked_at_but_no_evidence() {
    let coded = |digest: &str, code: &str| with(sum(digest, WARNED, 1), |facts| facts.code = code.to_owned());
    let signed = with(sum("signed", SERVED, 1), |facts| facts.signers = "release".to_owned());
    let told = told(&[
        signed,
        coded("bare", "no-evidence"),
        coded("unmatched", "scope-unmatched"),
        sum("unchecked", ("permit", "unchecked"), 1),
        sum("evidence", ("permit", "evidence"), 1),
        sum("refused", REFUSED, 1),
    ]);
    let unsigned = told.images(images::Seen::is_unsigned);
    assert_eq!(digests(&unsigned), ["bare", "unchecked", "unmatched"]);
    assert_eq!(unsigned.iter().map(Image::was_looked_at).collect::<Vec<_>>(), [true, false, false]);
}

#[test]
fn a_tag_that_was_two_things_moved_and_one_that_was_one_did_not() {
    let latest =
        |digest: &str, at| with(sum(digest, SERVED, at), |facts| facts.reference = "latest".to_owned());
    let moved = moved::of(&told(&[latest("b", 3), latest("a", 1), latest("a", 2), sum("a", SERVED, 1)]));
    assert_eq!((moved.len(), moved[0].tag.as_str()), (1, "latest"));
    let was: Vec<_> = moved[0].was.iter().map(|held| (held.digest.as_str(), held.pulls)).collect();
    assert_eq!(was, [("a", 2), ("b", 1)]);
    // A digest is asked for by what it is.
    let by_digest =
        |digest: &str| with(sum(digest, SERVED, 1), |facts| facts.reference = "sha256:a".to_owned());
    assert!(moved::of(&told(&[by_digest("a"), by_digest("b")])).is_empty());
}

#[test]
fn more_manifests_than_are_told_apart_are_in_the_sums_alone() {
    let mut few = Told::new(2);
    ["a", "b", "c", "a"].into_iter().for_each(|digest| few.add(&sum(digest, WARNED, 1)));
    assert_eq!((few.left_out(), few.total.pulls, few.images(|_| true).len()), (1, 4, 2));
    let mut clients = Told::new(2);
    for client in ["1", "2", "3", "4"] {
        clients.add(&with(sum("a", WARNED, 1), |facts| facts.client = client.to_owned()));
    }
    let names: Vec<_> =
        clients.clients.sorted().into_iter().map(|group| (group.name, group.counts.pulls)).collect();
    assert_eq!(names, [("(others)".to_owned(), 2), ("1".to_owned(), 1), ("2".to_owned(), 1)]);
}

#[test]
fn one_manifests_clients_are_named_up_to_the_limit_and_counted_beyond() {
    let of = |clients: usize| {
        let pull = |n: usize| with(sum("a", WARNED, 1), |facts| facts.client = n.to_string());
        let sums: Vec<Sum> = (0..clients).map(pull).collect();
        told(&sums).images(|_| true).remove(0).clients
    };
    assert_eq!(of(REPORT_CLIENTS_OF_ONE).len(), REPORT_CLIENTS_OF_ONE);
    let over = of(REPORT_CLIENTS_OF_ONE + 2);
    assert_eq!((over.len(), over.get("(others)")), (REPORT_CLIENTS_OF_ONE + 1, Some(&2)));
}

#[test]
fn a522_no_text_of_a_log_steers_a_screen() {
    let evil = "\u{1b}[2J\u{202e}";
    let hostile = with(sum(evil, WARNED, 1), |facts| {
        for field in [&mut facts.gate, &mut facts.repository, &mut facts.reference, &mut facts.client] {
            evil.clone_into(field);
        }
        (facts.code, facts.policy) = (evil.to_owned(), evil.to_owned());
        facts.signers = format!("{evil}\n{evil}2");
    });
    let told = told(&[hostile]);
    let image = told.images(|_| true).remove(0);
    let texts = [&image.repository, &image.digest, &image.code, &image.policy];
    assert!(
        texts
            .into_iter()
            .chain(&image.signers)
            .chain(&image.tags)
            .all(|text| !text.contains(text::is_unsafe))
    );
    assert!(image.clients.keys().all(|client| !client.contains(text::is_unsafe)));
    assert!(told.signers().iter().all(|signer| !signer.by.contains(text::is_unsafe)));
}
