use super::*;
use crate::asking::{End, ask};
use crate::made::Made;

async fn with(fault: Option<Fault>) -> (Upstream, Made) {
    let upstream = Upstream::start().await.unwrap();
    let image = Made::image_of_bytes(100_000);
    image.tag(&upstream, "app", "v1");
    if let Some(fault) = fault {
        upstream.fail(When::on("/blobs/"), fault);
    }
    (upstream, image)
}

#[tokio::test]
async fn it_serves_what_it_holds_and_remembers_who_asked() {
    let (upstream, image) = with(None).await;
    for reference in ["v1", &image.digest()] {
        let answer =
            ask(upstream.address(), "GET", &format!("/v2/app/manifests/{reference}"), &[("x-who", "me")])
                .await;
        assert_eq!((answer.status, answer.body.to_vec()), (200, image.bytes.clone()));
    }
    let head = ask(upstream.address(), "HEAD", "/v2/app/manifests/v1", &[]).await;
    assert_eq!(head.header("content-length"), Some(image.bytes.len().to_string().as_str()));
    assert_eq!((upstream.count("GET /v2/app/manifests/"), upstream.count("HEAD")), (2, 1));
    assert_eq!(upstream.seen()[0].headers["x-who"], "me");
    upstream.forget();
    assert_eq!(upstream.seen().len(), 0);
    upstream.remove("app", &image.digest());
    assert_eq!(ask(upstream.address(), "GET", "/v2/app/manifests/v1", &[]).await.status, 404);
}

#[tokio::test]
async fn each_fault_is_the_one_that_was_asked_for() {
    for (fault, status, length, end) in [
        (Fault::Status(500), 500, None, End::Whole),
        (Fault::Cut(10), 200, Some(10), End::Cut),
        (Fault::Short(10), 200, Some(10), End::Whole),
        (Fault::Surplus(7), 200, Some(100_007), End::Whole),
        (Fault::Flip(-1), 200, Some(100_000), End::Whole),
        (Fault::Redirect("/".to_owned()), 307, None, End::Whole),
        (Fault::Answer(200, "text/html", b"x".to_vec()), 200, Some(1), End::Whole),
    ] {
        let (upstream, image) = with(Some(fault.clone())).await;
        let target = format!("/v2/app/blobs/{}", image.layer());
        let answer = ask(upstream.address(), "GET", &target, &[]).await;
        assert_eq!((answer.status, answer.end), (status, end), "{fault:?}");
        assert!(length.is_none_or(|length| answer.body.len() == length), "{fault:?}");
        assert!(answer.body != image.blobs[1], "{fault:?}");
        upstream.heal();
        assert!(ask(upstream.address(), "GET", &target, &[]).await.body == image.blobs[1]);
    }
}

#[tokio::test]
async fn a_fault_ends_after_as_many_times_as_it_was_asked_for() {
    let (upstream, image) = with(None).await;
    let other = Made::image();
    other.put(&upstream, "app");
    upstream.fail(When::on("manifests/v1").times(3), Fault::Alternate(vec![other.digest(), image.digest()]));
    let mut bodies = Vec::new();
    for _ in 0..5 {
        bodies.push(ask(upstream.address(), "GET", "/v2/app/manifests/v1", &[]).await.body.to_vec());
    }
    let expected = [&other, &image, &other, &image, &image].map(|image| image.bytes.clone());
    assert_eq!(bodies, expected);
}

#[tokio::test]
async fn referrers_are_paged_where_it_has_the_api() {
    let (upstream, image) = with(None).await;
    let more = serde_json::json!({ "subject": image.descriptor() });
    for _ in 0..3 {
        let config = ("application/x", crate::made::fresh().into_bytes());
        Made::manifest(config, Vec::new(), more.clone()).put(&upstream, "app");
    }
    let target = format!("/v2/app/referrers/{}", image.digest());
    assert_eq!(ask(upstream.address(), "GET", &target, &[]).await.status, 404);
    for (api, pages) in [(ReferrersApi::Whole, vec![3]), (ReferrersApi::Paged(2), vec![2, 1])] {
        upstream.set_referrers(api);
        let (mut next, mut found) = (target.clone(), Vec::new());
        loop {
            let answer = ask(upstream.address(), "GET", &next, &[]).await;
            found.push(answer.json()["manifests"].as_array().unwrap().len());
            let Some(link) = answer.header("link") else { break };
            next = link.split(['<', '>']).nth(1).unwrap().to_owned();
        }
        assert_eq!(found, pages);
    }
}
