//! Pages on the admin port: what people read of the pull log, and what no text on it can do.

use pullgate::audit::{Client, DecisionId, Kind, Record, Word};
use pullgate_tests::asking::{Answer, ask};

use crate::stage::{KEYED, Stage, assert_denied, assert_serves, manifest};

/// All pages that need no more to be named than themselves.
const PAGES: [&str; 5] = ["/", "/search", "/report", "/policy", "/shadow"];
/// What a client may call itself.
const EVIL: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";

async fn page(stage: &Stage, path: &str) -> String {
    stage.gate.app().audit.flush().await;
    let answer = stage.gate.admin(path).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    text(&answer)
}

fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body.to_vec()).unwrap()
}

/// What stands in an attribute, each time.
fn values<'a>(page: &'a str, attribute: &str) -> Vec<&'a str> {
    let begin = format!(" {attribute}=\"");
    page.split(begin.as_str()).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[tokio::test]
async fn every_page_is_sealed_and_has_nothing_from_outside() {
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    for path in
        PAGES.into_iter().chain(["/digests/unknown", "/nowhere", "/pullgate.css", "/live.js", "/icon.svg"])
    {
        let answer = stage.gate.admin(path).await;
        let policy = answer.header("content-security-policy").unwrap_or_default();
        assert!(
            policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"),
            "{path}: {answer:?}"
        );
        assert!(!policy.contains("http:") && !policy.contains("data:") && !policy.contains('*'), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
    }
    for path in PAGES {
        let page = page(&stage, path).await;
        for place in
            values(&page, "href").into_iter().chain(values(&page, "src")).chain(values(&page, "action"))
        {
            assert!(
                place.starts_with('/') && !place.starts_with("//") || place == "#main",
                "{path}: {place}"
            );
        }
        assert!(
            values(&page, "style").is_empty() && !page.contains("<style"),
            "{path}: a style that is not ours"
        );
        assert!(!page.contains("onerror=") && !page.contains("javascript:"), "{path}");
    }
    assert_eq!(ask(stage.gate.admin, "HEAD", "/", &[]).await.status, 200);
    assert_eq!(ask(stage.gate.admin, "POST", "/search", &[]).await.status, 405);
    assert_eq!(stage.gate.admin("/nowhere").await.status, 404);
}

#[tokio::test]
async fn a525_on_loopback_a_foreign_name_reads_no_page() {
    let stage = Stage::new().await;
    for path in PAGES {
        let answer = ask(stage.gate.admin, "GET", path, &[("host", "rebound.example")]).await;
        assert_eq!(answer.status, 421, "{path}");
    }
}

#[tokio::test]
async fn hostile_texts_stay_texts_on_every_page() {
    let stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    assert_denied(&stage.gate.get_with(&manifest("org/app", "v1"), &[("user-agent", EVIL)]).await);
    let record = stage.gate.record().await;
    let (id, digest) = (record["id"].as_str().unwrap().to_owned(), image.digest());
    let asked = "/search?code=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&client=%3Cimg%20src%3Dx%3E";
    let refused = stage.gate.admin("/search?since=%3Cscript%3E").await;
    assert_eq!(refused.status, 400);
    let mut pages = vec![text(&refused), page(&stage, asked).await];
    for path in
        PAGES.map(str::to_owned).into_iter().chain([format!("/answers/{id}"), format!("/digests/{digest}")])
    {
        pages.push(page(&stage, &path).await);
    }
    for page in &pages {
        assert!(!page.contains("<script>") && !page.contains("<img"), "{page}");
    }
    assert!(pages.iter().any(|page| page.contains("&#60;script&#62;")), "it is there to be read");
}

#[tokio::test]
async fn a_refusal_is_read_from_the_overview_to_its_line_and_its_cure() {
    let stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    assert_denied(&stage.manifest("org/app", "v1").await);
    let id = stage.gate.record().await["id"].as_str().unwrap().to_owned();
    let overview = page(&stage, "/").await;
    assert!(
        overview.contains(&format!("/answers/{id}")) && overview.contains("registry.test/org/app:v1"),
        "{overview}"
    );
    let answer = page(&stage, &format!("/answers/{}", &id[..12])).await;
    for said in ["no-evidence", "policy.toml:8", "Cure:", "not met", "127.0.0.1", &image.digest()] {
        assert!(answer.contains(said), "{said}: {answer}");
    }
    assert_eq!(stage.gate.admin("/answers/000000000000").await.status, 404);
    assert_eq!(stage.gate.admin("/answers/no-id").await.status, 400);
}

#[tokio::test]
async fn a_digest_shows_what_each_signature_was_worth_what_it_carries_and_who_pulled_it() {
    let stage = Stage::new().await;
    let index = pullgate_tests::made::Made::index(vec![
        pullgate_tests::made::Made::image(),
        pullgate_tests::made::Made::image(),
    ]);
    index.tag(&stage.upstream, "org/app", "v1");
    stage.sign("org/app", &index);
    assert_serves(&stage.manifest("org/app", "v1").await, &index);
    let child = index.children[0].digest();
    assert_eq!(stage.manifest("org/app", &child).await.status, 200);
    let shown = page(&stage, &format!("/digests/{}", index.digest())).await;
    for said in ["key sha256:", "counted as release", "satisfied", &child, "127.0.0.1", "policy.toml:8"] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
    let under = page(&stage, &format!("/digests/{child}")).await;
    assert!(under.contains("Carried by") && under.contains(&index.digest()), "{under}");
    let never = pullgate_tests::made::Made::image().digest();
    assert_eq!(stage.gate.admin(&format!("/digests/{never}")).await.status, 404);
    assert_eq!(stage.gate.admin("/digests/sha256:abc").await.status, 400);
}

#[tokio::test]
async fn the_policy_shows_how_often_each_line_decided() {
    let stage = Stage::new().await;
    stage.signed("org/app", "good");
    stage.unsigned("org/app", "bad");
    for tag in ["good", "good", "bad"] {
        stage.manifest("org/app", tag).await;
    }
    let shown = page(&stage, "/policy").await;
    let row = shown.lines().find(|line| line.contains("<td class=\"n\">8</td>")).unwrap();
    assert!(
        row.contains("<span class=\"permit\">2</span>") && row.contains("<span class=\"deny\">1</span>"),
        "{row}"
    );
    let other = shown.lines().find(|line| line.contains("<td class=\"n\">1</td>")).unwrap();
    assert!(!other.contains("<span"), "{other}");
    stage.reload(&format!("{KEYED}# another\n")).await;
    let shown = page(&stage, "/policy").await;
    assert!(shown.contains("3 answers were decided under others"), "{shown}");
}

#[tokio::test]
async fn the_report_is_a_page_for_four_windows_and_no_other() {
    let stage = Stage::on(&KEYED.replace("[[policy.require]]", "mode = \"warn\"\n[[policy.require]]")).await;
    stage.unsigned("org/app", "bad");
    assert_eq!(stage.manifest("org/app", "bad").await.status, 200);
    for window in ["", "?since=1d", "?since=7d", "?since=30d", "?since=90d"] {
        let shown = page(&stage, &format!("/report{window}")).await;
        let (_, would) = shown.split_once("Would be refused").unwrap();
        assert!(would.contains("registry.test/org/app:bad"), "{window}: {shown}");
    }
    assert_eq!(stage.gate.admin("/report?since=400d").await.status, 400);
}

#[tokio::test]
async fn thirty_thousand_rows_are_paged_each_once_and_the_gate_answers_meanwhile() {
    const ROWS: usize = 30_000;
    let stage = Stage::new().await;
    for n in 0..ROWS {
        let mut record =
            Record::new(Kind::Manifest, &DecisionId::random(), stage.gate.app().clock.now(), Word::Deny);
        record.repository = format!("registry.test/org/{}", n % 7);
        record.reference = format!("v{n}");
        let (address, user_agent) = (format!("10.0.0.{}:1", n % 50), String::new());
        record.client = Some(Client { address, forwarded: None, names: Vec::new(), user_agent });
        stage.gate.app().audit.write(record).await.unwrap();
        if n % 1_000 == 0 {
            stage.gate.app().audit.flush().await;
        }
    }
    stage.gate.app().audit.flush().await;
    let (mut path, mut seen) = ("/search?verdict=deny".to_owned(), std::collections::BTreeSet::new());
    let mut rows = 0;
    loop {
        let shown = page(&stage, &path).await;
        assert_eq!(stage.gate.admin("/livez").await.status, 200);
        let answers = values(&shown, "href").into_iter().filter(|place| place.starts_with("/answers/"));
        let answers: Vec<String> = answers.map(str::to_owned).collect();
        rows += answers.len();
        seen.extend(answers);
        let next = values(&shown, "href").into_iter().find(|place| place.contains("before="));
        match next {
            Some(next) => path = next.replace("&#38;", "&"),
            None => break,
        }
    }
    assert_eq!((rows, seen.len()), (ROWS, ROWS), "each once, and none is left out");
    let overview = page(&stage, "/").await;
    assert!(overview.contains("30000 pulls"), "{overview}");
}
