//! The challenge of an upstream: `WWW-Authenticate` (RFC 9110 §11.6.1), which may hold several.

use std::iter::Peekable;
use std::str::Chars;

use crate::limits;
use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

use crate::fault::Fault;

/// The challenge that is met. Its scope is not in it: the gate writes its own (A166).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User name and password.
    Basic,
    /// A token.
    Bearer {
        /// The URL of the token service, not yet believed.
        realm: String,
        /// The name that the token service has for the registry.
        service: Option<String>,
    },
}

impl Challenge {
    /// Picks a bearer challenge, else a basic one, so that a password goes nowhere where a token does.
    ///
    /// # Errors
    /// [`Fault::Unauthorized`] when there is neither, when it is malformed, or over `challenge_bytes`.
    pub(super) fn find(headers: &HeaderMap) -> Result<Self, Fault> {
        let values = || headers.get_all(WWW_AUTHENTICATE).iter();
        if values().map(http::HeaderValue::len).sum::<usize>() > limits::CHALLENGE_BYTES {
            return Err(Fault::Unauthorized);
        }
        let mut found = Vec::new();
        for value in values() {
            found.extend(value.to_str().ok().and_then(parse).ok_or(Fault::Unauthorized)?);
        }
        let named = |name: &str| found.iter().find(|one| one.scheme.eq_ignore_ascii_case(name));
        match (named("bearer"), named("basic")) {
            (Some(bearer), _) => Ok(Self::Bearer {
                realm: bearer.parameter("realm").ok_or(Fault::Unauthorized)?,
                service: bearer.parameter("service"),
            }),
            (None, Some(_)) => Ok(Self::Basic),
            (None, None) => Err(Fault::Unauthorized),
        }
    }
}

struct Parsed {
    scheme: String,
    parameters: Vec<(String, String)>,
}

impl Parsed {
    fn parameter(&self, name: &str) -> Option<String> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    }
}

/// All challenges of one header, or nothing if any of it is outside the grammar: half understood is not understood.
fn parse(text: &str) -> Option<Vec<Parsed>> {
    let mut found: Vec<Parsed> = Vec::new();
    let mut rest = text.chars().peekable();
    loop {
        skip(&mut rest, |c| c == ',' || is_space(c));
        if rest.peek().is_none() {
            return Some(found);
        }
        let word = token(&mut rest)?;
        let spaces = skip(&mut rest, is_space);
        if rest.next_if_eq(&'=').is_some() {
            let challenge = found.last_mut()?;
            skip(&mut rest, is_space);
            let value = if rest.next_if_eq(&'"').is_some() { quoted(&mut rest)? } else { token(&mut rest)? };
            let key = word.to_ascii_lowercase();
            // A second realm makes the challenge unreadable.
            if challenge.parameters.iter().any(|(other, _)| *other == key) {
                return None;
            }
            challenge.parameters.push((key, value));
            skip(&mut rest, is_space);
            if rest.peek().is_some_and(|c| *c != ',') {
                return None;
            }
        } else if spaces > 0 || rest.peek().is_none_or(|c| *c == ',') {
            found.push(Parsed { scheme: word, parameters: Vec::new() });
            token68(&mut rest);
        } else {
            return None;
        }
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

fn skip(rest: &mut Peekable<Chars<'_>>, what: impl Fn(char) -> bool) -> usize {
    std::iter::from_fn(|| rest.next_if(|c| what(*c))).count()
}

fn token(rest: &mut Peekable<Chars<'_>>) -> Option<String> {
    let inner = |c: &char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(*c);
    let word: String = std::iter::from_fn(|| rest.next_if(inner)).collect();
    (!word.is_empty()).then_some(word)
}

fn quoted(rest: &mut Peekable<Chars<'_>>) -> Option<String> {
    let mut value = String::new();
    loop {
        match rest.next()? {
            '"' => return Some(value),
            '\\' => value.push(rest.next()?),
            c => value.push(c),
        }
    }
}

/// Steps over what stands in place of parameters (`Negotiate YII=`).
fn token68(rest: &mut Peekable<Chars<'_>>) {
    let mut ahead = rest.clone();
    let letters = skip(&mut ahead, |c| c.is_ascii_alphanumeric() || "-._~+/".contains(c));
    skip(&mut ahead, |c| c == '=');
    skip(&mut ahead, is_space);
    if letters > 0 && ahead.peek().is_none_or(|c| *c == ',') {
        *rest = ahead;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn find(values: &[&str]) -> Result<Challenge, Fault> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        Challenge::find(&headers)
    }

    fn bearer(realm: &str, service: Option<&str>) -> Result<Challenge, Fault> {
        Ok(Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) })
    }

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/alpine:pull""#;
        assert_eq!(find(&[hub]), bearer("https://auth.docker.io/token", Some("registry.docker.io")));
        for (text, expected) in [
            (r#"bearer REALM="https://r.io/t""#, bearer("https://r.io/t", None)),
            (
                r#"Bearer realm="https://r.io/t" , service="a, b=\"c\"""#,
                bearer("https://r.io/t", Some("a, b=\"c\"")),
            ),
            (r#"Bearer realm = "https://r.io/t",service=token"#, bearer("https://r.io/t", Some("token"))),
            (r#"Basic realm="x", Bearer realm="https://r.io/t""#, bearer("https://r.io/t", None)),
            (r#"Negotiate, Negotiate YII/+=, Bearer realm="https://r.io/t""#, bearer("https://r.io/t", None)),
            (r#"Basic realm="Registry Realm""#, Ok(Challenge::Basic)),
            ("Basic", Ok(Challenge::Basic)),
            (r#"BASIC realm="a", charset="UTF-8""#, Ok(Challenge::Basic)),
        ] {
            assert_eq!(find(&[text]), expected, "{text}");
        }
        assert_eq!(
            find(&[r#"Basic realm="x""#, r#"Bearer realm="https://r.io/t""#]),
            bearer("https://r.io/t", None)
        );
    }

    #[test]
    fn what_is_outside_the_grammar_is_not_guessed_at() {
        for text in [
            "",
            ",",
            "Bearer",
            "Bearer service=\"a\"",
            "Bearer realm=",
            "Bearer realm=\"https://r.io",
            "Bearer realm=\"a\\",
            "Bearer realm=\"a\", realm=\"b\"",
            "Bearer realm=\"a\", Realm=\"b\"",
            "realm=\"https://r.io\"",
            "Digest realm=\"a\"",
            "Bearer realm=\"a\" service=\"b\"",
            "Bearer realm=\"a\"x",
            "Bearer;realm=\"a\"",
            "Basic realm=\"\u{e9}\"",
            "Basic, Bearer realm=\"a\", realm=\"b\"",
            "Bearer=1",
        ] {
            assert_eq!(find(&[text]), Err(Fault::Unauthorized), "{text}");
        }
        assert_eq!(find(&[]), Err(Fault::Unauthorized));
    }

    #[test]
    fn a165_a_challenge_over_its_limit_is_not_read() {
        let frame = "Basic realm=\"\"".len();
        let long = |bytes: usize| format!("Basic realm=\"{}\"", "a".repeat(bytes - frame));
        assert_eq!(find(&[&long(limits::CHALLENGE_BYTES)]), Ok(Challenge::Basic));
        assert_eq!(find(&[&long(limits::CHALLENGE_BYTES + 1)]), Err(Fault::Unauthorized));
        assert_eq!(find(&[&long(limits::CHALLENGE_BYTES), "Basic"]), Err(Fault::Unauthorized));
    }
}
