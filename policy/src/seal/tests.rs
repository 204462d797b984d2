use proptest::prelude::*;

use super::*;
use crate::content::Intact;
use crate::decide::tests::fixture::*;
use crate::evidence::Layout;
use crate::evidence::collected::{CollectedEvidence, KeptOutcome};
use crate::grant::{Grant, GrantClaim, Role};
use crate::oci::{Digest, Document};
use crate::policy::{Mode, Revision, Revisions};
use crate::verdict::{Permit, Permitted, Subject};

fn seal() -> Seal {
    Seal::new(&[7; 32])
}

/// A satisfied permit for `document`, under the revisions of [`policy_set`], from now for an hour.
fn permit_for(document: &Intact<Document>) -> Permit {
    let set = policy_set(vec![signed_by(&["a"], 1)]);
    let mut facts = signature(by_key("a"));
    facts.subject = document.digest();
    let mut evidence = evidence(vec![facts], vec![]);
    evidence.subject = document.digest();
    let subject = subject_in("r.io/org/app", document);
    permit(crate::decide::judge(&set, &subject, document.value(), &evidence, now()))
}

fn recalled(sealed: &Sealed, subject: &Subject, revisions: Revisions, seconds: i64) -> Option<Permit> {
    Permit::recall(&seal(), sealed, subject, revisions, at(seconds))
}

#[test]
fn a504_a_permit_is_recalled_only_where_seal_subject_revisions_and_time_agree() {
    let permit = permit_for(&image());
    let sealed = seal().seal(&permit);
    let (subject, revisions) = (subject(), revisions(1));
    assert_eq!(recalled(&sealed, &subject, revisions, 0), Some(permit.clone()), "it comes back as it was");
    assert!(recalled(&sealed, &subject, revisions, 3599).is_some());

    let elsewhere = subject_in("r.io/org/other", &image());
    let other_digest = subject_in("r.io/org/app", &index());
    for other in [&elsewhere, &other_digest] {
        assert_eq!(recalled(&sealed, other, revisions, 0), None, "{other:?}");
    }
    let other_trust = Revisions { trust: Revision::of([&b"other trust"[..]]), ..revisions };
    for other in [crate::decide::tests::fixture::revisions(2), other_trust] {
        assert_eq!(recalled(&sealed, &subject, other, 0), None, "{other:?}");
    }
    assert_eq!(recalled(&sealed, &subject, revisions, 3600), None, "its end");
    assert_eq!(recalled(&sealed, &subject, revisions, -1), None, "A541: from the future");
    assert_eq!(
        Permit::recall(&Seal::new(&[8; 32]), &sealed, &subject, revisions, now()),
        None,
        "another secret"
    );
}

#[test]
fn a504_a_permit_that_warns_comes_back_with_its_denial() {
    let mut set = policy_set(vec![signed_by(&["a"], 1)]);
    set.policies[0].mode = Mode::Warn;
    let warned = permit(decided(&set, &evidence(vec![], vec![])));
    let sealed = seal().seal(&warned);
    assert_eq!(recalled(&sealed, &subject(), set.revisions, 0), Some(warned));
}

#[test]
fn a504_a_record_of_one_kind_is_none_of_another() {
    let permitted = permit_for(&image()).apply(image()).unwrap();
    let grants = permitted.grants();
    let sealed_grant = seal().seal(&grants[0]);
    assert!(GrantClaim::open(&seal(), &sealed_grant, &subject().repository, &grants[0].digest()).is_some());
    assert_eq!(recalled(&sealed_grant, &subject(), revisions(1), 0), None);
    let sealed_permit = seal().seal(permitted.permit());
    assert!(CollectedEvidence::open(&seal(), &sealed_permit, &subject()).is_none());
    // The same words under the name of another purpose have another seal.
    assert_ne!(seal().mac("permit/1", "{}"), seal().mac("permit/", "1{}"));
    assert_ne!(seal().mac("permit/1", "{}"), seal().mac("grant/1", "{}"));
}

#[test]
fn a155_kept_evidence_is_opened_for_its_own_subject_only() {
    let kept = CollectedEvidence {
        subject: subject(),
        collected: now(),
        manifests: vec![(Layout::SigTag, Digest::of(b"x"))],
        unread: Vec::new(),
        outcome: KeptOutcome::NotPermitted,
    };
    let sealed = seal().seal(&kept);
    assert_eq!(CollectedEvidence::open(&seal(), &sealed, &subject()), Some(kept));
    assert_eq!(CollectedEvidence::open(&seal(), &sealed, &subject_in("r.io/org/other", &image())), None);
    let forged = Sealed { body: sealed.body.replace("not-permitted", "permitted"), ..sealed };
    assert_eq!(CollectedEvidence::open(&seal(), &forged, &subject()), None);
}

fn claim(grant: &Grant) -> GrantClaim {
    GrantClaim::open(&seal(), &seal().seal(grant), grant.repository(), &grant.digest()).unwrap()
}

#[test]
fn a023_a_grant_is_worth_what_its_roots_permit_is_worth_now() {
    let root = permit_for(&index());
    let grants = root.clone().apply(index()).unwrap().grants();
    let [child] = grants.as_slice() else { panic!("{grants:?}") };
    assert_eq!((child.digest(), child.role(), child.size()), (image().digest(), Role::Child, child.size()));
    let confirm = |permit: Permit, revisions, seconds| claim(child).confirm(permit, revisions, at(seconds));
    assert!(confirm(root.clone(), revisions(1), 0).is_some());
    assert!(confirm(root.clone(), revisions(1), 3599).is_some());
    assert!(confirm(root.clone(), revisions(1), 3600).is_none(), "the permit has ended");
    assert!(confirm(root.clone(), revisions(1), -1).is_none(), "the permit is from the future");
    assert!(confirm(root, revisions(2), 0).is_none(), "the policy has changed");
    assert!(confirm(permit_for(&image()), revisions(1), 0).is_none(), "the permit is another root's");
}

#[test]
fn a134_an_image_grants_blobs_an_index_children_and_a_child_hands_on_its_root() {
    let root = permit_for(&index());
    let child =
        claim(&root.clone().apply(index()).unwrap().grants()[0]).confirm(root, revisions(1), now()).unwrap();
    let permitted = Permitted::under_grant(child, image()).unwrap();
    let grants = permitted.grants();
    assert_eq!(grants.iter().map(Grant::digest).collect::<Vec<_>>(), [Digest::of(b"{}"), layer()]);
    for grant in &grants {
        assert_eq!((grant.role(), claim(grant).root().digest), (Role::Blob, index().digest()));
    }
    assert!(Permitted::under_grant(grants[0].clone(), image()).is_err(), "a grant is for one digest");
}

#[test]
fn a504_a_grant_is_opened_for_its_own_repository_and_digest_only() {
    let grants = permit_for(&image()).apply(image()).unwrap().grants();
    let (grant, repository) = (&grants[1], subject().repository);
    let sealed = seal().seal(grant);
    assert!(GrantClaim::open(&seal(), &sealed, &repository, &layer()).is_some());
    assert!(GrantClaim::open(&seal(), &sealed, &repository, &Digest::of(b"{}")).is_none());
    assert!(GrantClaim::open(&seal(), &sealed, &"r.io/org/other".parse().unwrap(), &layer()).is_none());
    let forged = Sealed { body: sealed.body.replace("r.io/org/app", "r.io/org/other"), ..sealed };
    assert!(GrantClaim::open(&seal(), &forged, &"r.io/org/other".parse().unwrap(), &layer()).is_none());
}

#[test]
fn a_permit_applies_to_its_own_content_only() {
    assert!(permit_for(&image()).apply(image()).is_ok());
    assert!(permit_for(&image()).apply(index()).is_err());
    assert!(permit_for(&image()).apply(foreign_image()).is_err());
}

proptest! {
    #[test]
    fn a504_one_changed_byte_of_body_or_seal_is_no_permit(at in any::<prop::sample::Index>(), byte in 0_u8..128) {
        let sealed = seal().seal(&permit_for(&image()));
        let mut body = sealed.body.clone().into_bytes();
        let place = at.index(body.len());
        prop_assume!(body[place] != byte);
        body[place] = byte;
        let body = String::from_utf8(body).unwrap();
        let altered = Sealed { body, mac: sealed.mac.clone() };
        prop_assert_eq!(recalled(&altered, &subject(), revisions(1), 0), None);

        let mut mac = sealed.mac.clone();
        let place = at.index(mac.len());
        mac[place] ^= byte.max(1);
        prop_assert_eq!(recalled(&Sealed { mac, ..sealed.clone() }, &subject(), revisions(1), 0), None);
        let mac = sealed.mac.iter().copied().take(at.index(sealed.mac.len())).collect();
        prop_assert_eq!(recalled(&Sealed { mac, ..sealed.clone() }, &subject(), revisions(1), 0), None);
    }

    #[test]
    fn a_permit_counts_within_its_time_and_at_no_other(seconds in -7200_i64..7200) {
        let sealed = seal().seal(&permit_for(&image()));
        let counts = (0..3600).contains(&seconds);
        prop_assert_eq!(recalled(&sealed, &subject(), revisions(1), seconds).is_some(), counts);
    }
}

/// An index of one document.
fn index_of(child: &Intact<Document>) -> Intact<Document> {
    let text = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[{{"mediaType":"{}","digest":"{}","size":{}}}]}}"#,
        crate::oci::media_type::OCI_INDEX,
        child.value().media_type(),
        child.digest(),
        child.value().bytes().len(),
    );
    crate::content::Untrusted::new(bytes::Bytes::from(text)).hash().parse(None).unwrap()
}

#[test]
fn a128_indexes_that_nest_deeper_than_the_limit_are_not_served_under_a_grant() {
    // How many grants the innermost image gets under this many indexes, the outermost of which is permitted.
    let granted_below = |indexes: usize| {
        let mut chain = vec![image()];
        for _ in 0..indexes {
            chain.push(index_of(chain.last().unwrap()));
        }
        let outermost = chain.pop().unwrap();
        let mut permitted = permit_for(&outermost).apply(outermost).unwrap();
        while let Some(child) = chain.pop() {
            let Some(grant) = permitted.grants().pop() else { return 0 };
            let Ok(child) = Permitted::under_grant(grant, child) else { return 0 };
            permitted = child;
        }
        permitted.grants().len()
    };
    assert_eq!(granted_below(crate::limits::INDEX_DEPTH), 2);
    assert_eq!(granted_below(crate::limits::INDEX_DEPTH + 1), 0);
}

#[test]
fn a543_a_permit_ends_by_a_shorter_permit_ttl_and_never_later_than_before() {
    let permit = permit_for(&image());
    let shorter = permit.clone().within(std::time::Duration::from_secs(60));
    assert!(shorter.counts(revisions(1), at(59)) && !shorter.counts(revisions(1), at(60)));
    for longer in [std::time::Duration::from_secs(7_200), std::time::Duration::MAX] {
        assert_eq!(permit.clone().within(longer), permit);
    }
}
