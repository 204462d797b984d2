//! What an upstream answers: challenges, tokens, links, lists, and the logins that are sent to it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pullgate::upstream::Referrers;
use pullgate::upstream::limits;
use pullgate_config::{Credentials, Secret};
use pullgate_policy::oci::{Digest, Reference};
use serde_json::{Value, json};

use super::answering::{Answering, another_repository, answer};

fn texts(of: &[&str]) -> Vec<Vec<u8>> {
    of.iter().map(|text| text.as_bytes().to_vec()).collect()
}

pub(super) fn challenges() -> Vec<Vec<u8>> {
    texts(&[
        "Bearer realm=\"http://HOME/token\",service=\"registry\",scope=\"repository:org/app:pull\"",
        "Basic realm=\"registry\"",
        "Negotiate, Bearer realm=\"http://HOME/token?account=x\", Basic realm=\"a, b\"",
        "Bearer realm=\"http://ELSEWHERE/token\",service=\"registry\"",
        "Bearer realm=\"http://HOME@ELSEWHERE/token\"",
    ])
}

/// Whatever is asked for, the password goes to the upstream's own host, for this repository and no more, and is not told.
pub(super) fn challenge(input: &[u8]) -> Result<(), String> {
    let at = Answering::take()?;
    let Some(text) = at.addressed(input) else { return Ok(()) };
    let password = Secret::new("canary".to_owned());
    let credentials = Credentials::Basic { username: "user".to_owned(), password };
    let (Some(upstream), Some(repository)) = (at.upstream(credentials), another_repository()) else {
        return Err("no client".to_owned());
    };
    let Ok(reference) = "v1".parse::<Reference>() else { return Ok(()) };
    let challenge = format!("www-authenticate: {text}");
    let answers = move |head: &str| {
        if !head.starts_with("GET /v2/") {
            return answer("200 OK", &[], br#"{"token":"given"}"#);
        }
        match authorization(head) {
            Some(_) => answer("200 OK", &["content-type: text/plain"], b"{}"),
            None => answer("401 Unauthorized", &[&challenge], b""),
        }
    };
    let (said, heads) = at.ask(answers, upstream.manifest(&repository, &reference, &[], &mut |_| true))?;
    if format!("{:?}", said.err()).contains("canary") {
        return Err("a password is told".to_owned());
    }
    let own = format!("GET /v2/{}/manifests/v1 ", repository.path());
    for head in &heads {
        let scope = format!("scope=repository:{}:pull", repository.path());
        let line = head.lines().next().unwrap_or_default().replace("%3A", ":").replace("%2F", "/");
        if !line.starts_with(&own) && !line.ends_with(&format!("{scope} HTTP/1.1")) {
            return Err(format!("asked for another scope: {line}"));
        }
        if line.matches("scope=").count() > 1 {
            return Err(format!("two scopes: {line}"));
        }
    }
    if heads.len() > 3 { Err(format!("{} requests for one pull", heads.len())) } else { Ok(()) }
}

pub(super) fn tokens() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"token":"abc","expires_in":300,"issued_at":"2026-11-25T00:00:00Z"}"#,
        r#"{"access_token":"abc.def-ghi","expires_in":-1}"#,
        r#"{"token":"","access_token":"x"}"#,
    ])
}

/// What is sent as a token stands as one in the answer.
pub(super) fn token(input: &[u8]) -> Result<(), String> {
    let at = Answering::take()?;
    let Some(challenge) = at.addressed(b"www-authenticate: Bearer realm=\"http://HOME/token\"") else {
        return Ok(());
    };
    let (Some(upstream), Some(repository)) = (at.upstream(Credentials::Anonymous), another_repository())
    else {
        return Err("no client".to_owned());
    };
    let Ok(reference) = "v1".parse::<Reference>() else { return Ok(()) };
    let body = input.to_vec();
    let answers = move |head: &str| match (head.starts_with("GET /v2/"), authorization(head)) {
        (false, _) => answer("200 OK", &[], &body),
        (true, Some(_)) => answer("200 OK", &[], b"{}"),
        (true, None) => answer("401 Unauthorized", &[&challenge], b""),
    };
    let (_, heads) = at.ask(answers, upstream.manifest(&repository, &reference, &[], &mut |_| true))?;
    let Some(sent) = heads.iter().filter_map(|head| authorization(head)).next_back() else { return Ok(()) };
    let sent = sent.strip_prefix("Bearer ").unwrap_or_default().to_owned();
    let theirs: Value = serde_json::from_slice(input).map_err(|error| format!("no JSON: {error}"))?;
    let known =
        ["token", "access_token"].iter().any(|key| theirs.get(key).and_then(Value::as_str) == Some(&sent));
    if known && sent.len() <= limits::TOKEN_BYTES { Ok(()) } else { Err(format!("{sent} is sent")) }
}

/// The secrets of the docker config of the seeds, and where they belong.
pub(super) fn login(input: &[u8]) -> Result<(), String> {
    let at = Answering::take()?;
    let Ok(text) = std::str::from_utf8(input) else { return Ok(()) };
    // A helper is a program: none is to be run for a name that chance has written.
    if text.contains("cred") || text.contains("\\u") {
        return Ok(());
    }
    let credentials = Credentials::DockerConfig { text: Secret::new(text.to_owned()) };
    let (Some(upstream), Some(repository)) = (at.upstream(credentials), another_repository()) else {
        return Ok(());
    };
    let Ok(reference) = "v1".parse::<Reference>() else { return Ok(()) };
    let answers = |_: &str| answer("401 Unauthorized", &["www-authenticate: Basic realm=\"x\""], b"");
    let (said, heads) = at.ask(answers, upstream.manifest(&repository, &reference, &[], &mut |_| true))?;
    if format!("{:?}", said.err()).contains("canary") {
        return Err("a secret is told".to_owned());
    }
    let theirs: Value = serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"))?;
    for sent in heads.iter().filter_map(|head| authorization(head)) {
        let sent =
            sent.strip_prefix("Basic ").and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default();
        let own = ["r.example", "https://r.example"].iter().filter_map(|name| theirs.get("auths")?.get(name));
        if !own.into_iter().any(|entry| login_of(entry).contains(&sent)) {
            return Err(format!("{} is sent to r.example", String::from_utf8_lossy(&sent)));
        }
    }
    Ok(())
}

/// The logins that an entry of a docker config may mean.
fn login_of(entry: &Value) -> Vec<Vec<u8>> {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
    let auth = STANDARD.decode(text("auth")).unwrap_or_default();
    // docker cuts zeros at the end of a password.
    let cut = auth.iter().rposition(|byte| *byte != 0).map_or(0, |end| end + 1);
    let cut = auth.get(..cut).unwrap_or_default().to_vec();
    vec![auth, cut, format!("{}:{}", text("username"), text("password")).into_bytes()]
}

pub(super) fn links() -> Vec<Vec<u8>> {
    texts(&[
        "</v2/LIST?n=2&last=x>; rel=\"next\"",
        "<http://HOME/v2/LIST?n=2>; rel=next",
        "<http://ELSEWHERE/v2/LIST?n=2>; rel=\"next\"",
        "<?n=3>; title=\"a, b\"; rel=\"last next\", <https://docs.example/>; rel=help",
    ])
}

/// Only the same list is asked on, no page twice, and no more pages than there may be.
pub(super) fn link(input: &[u8]) -> Result<(), String> {
    let at = Answering::take()?;
    let Some(text) = at.addressed(input) else { return Ok(()) };
    let (Some(upstream), Some(repository)) = (at.upstream(Credentials::Anonymous), another_repository())
    else {
        return Err("no client".to_owned());
    };
    let subject = Digest::of(b"subject");
    let list = format!("{}/referrers/{subject}", repository.path());
    let link = format!("link: {}", text.replace("LIST", &list));
    let answers = move |_: &str| answer("200 OK", &[&link], br#"{"schemaVersion":2,"manifests":[]}"#);
    let (_, heads) = at.ask(answers, upstream.referrers(&repository, &subject, &mut |_| true))?;
    let mut lines: Vec<&str> = heads.iter().filter_map(|head| head.lines().next()).collect();
    if let Some(strange) = lines.iter().find(|line| {
        let rest = line.strip_prefix("GET /v2/").and_then(|rest| rest.strip_prefix(list.as_str()));
        !rest.is_some_and(|rest| rest.starts_with([' ', '?']))
    }) {
        return Err(format!("{strange} is another list"));
    }
    let count = lines.len();
    lines.sort_unstable();
    lines.dedup();
    if lines.len() != count || count > limits::REFERRERS_PAGES {
        return Err(format!("{count} pages, {} of them once", lines.len()));
    }
    Ok(())
}

pub(super) fn lists() -> Vec<Vec<u8>> {
    let digest = Digest::of(b"one");
    let one = json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest.to_string(), "size": 7,
        "artifactType": "application/vnd.dev.sigstore.bundle.v0.3+json", "annotations": { "a": "b" },
    });
    let other = json!({ "mediaType": "text/plain", "digest": "sha512:00", "size": -1, "urls": ["http://x"] });
    vec![json!({ "schemaVersion": 2, "manifests": [one, other] }).to_string().into_bytes()]
}

/// What is listed stands there, with this size.
pub(super) fn referrers(input: &[u8]) -> Result<(), String> {
    let at = Answering::take()?;
    let (Some(upstream), Some(repository)) = (at.upstream(Credentials::Anonymous), another_repository())
    else {
        return Err("no client".to_owned());
    };
    let subject = Digest::of(b"subject");
    let body = input.to_vec();
    let answers = move |_: &str| answer("200 OK", &[], &body);
    let (said, _) = at.ask(answers, upstream.referrers(&repository, &subject, &mut |_| true))?;
    let Ok(Referrers::Api { descriptors, more: _ }) = said else { return Ok(()) };
    let theirs: Value = serde_json::from_slice(input).map_err(|error| format!("no JSON: {error}"))?;
    let listed = theirs.get("manifests").and_then(Value::as_array).cloned().unwrap_or_default();
    for one in &descriptors {
        let said = one.to_json();
        let same = |other: &&Value| {
            ["digest", "size", "mediaType"].iter().all(|key| said.get(key) == other.get(key))
        };
        if !listed.iter().any(|other| same(&other)) {
            return Err(format!("{said} is not listed"));
        }
    }
    Ok(())
}

/// The value of the header.
fn authorization(head: &str) -> Option<String> {
    let named = |line: &&str| line.to_ascii_lowercase().starts_with("authorization:");
    head.lines().find(named).and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
}
