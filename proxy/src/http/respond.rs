//! From a [`Refusal`] to a response: the only place that chooses an error's status and words (OCI distribution-spec,
//! "Error codes"; `proxy/README.md`).

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_RANGE, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{Method, Response, StatusCode};
use hyper::ext::ReasonPhrase;
use pullgate_config::DeniedHeadStatus;
use pullgate_policy::code::Code;
use pullgate_policy::limits;
use pullgate_policy::text;

use super::body::Body;
use crate::audit::DecisionId;
use crate::refusal::{Missing, Refusal};
use crate::route::RouteFault;

/// An error of the distribution specification.
struct OciError {
    status: StatusCode,
    code: &'static str,
    message: String,
    detail: String,
}

/// The status of the answer to a request that gets no content.
#[must_use]
pub fn status(refusal: &Refusal, method: &Method, denied_head: DeniedHeadStatus) -> StatusCode {
    match refusal {
        // 300 without `Location`: containerd then asks no other registry.
        Refusal::Denied(_) | Refusal::Request(RouteFault::Canary)
            if *method == Method::HEAD && denied_head == DeniedHeadStatus::MultipleChoices =>
        {
            StatusCode::MULTIPLE_CHOICES
        }
        _ => describe(refusal, "").status,
    }
}

/// Makes the answer to a request that gets no content.
#[must_use]
pub fn refuse(
    refusal: &Refusal,
    id: &DecisionId,
    method: &Method,
    denied_head: DeniedHeadStatus,
) -> Response<Body> {
    let error = describe(refusal, id.short());
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status(refusal, method, denied_head);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match refusal {
        Refusal::Denied(denial) => {
            // A HEAD has no body: the reason phrase is all that a person sees.
            let phrase = denial.phrase(id.short());
            if let Ok(phrase) = ReasonPhrase::try_from(phrase.into_bytes()) {
                response.extensions_mut().insert(phrase);
            }
        }
        Refusal::Undecided(undecided) => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("10"));
            let phrase =
                format!("Service Unavailable: undecided, {} (pullgate {})", undecided.code(), id.short());
            let phrase = text::header(&phrase, limits::REASON_PHRASE_BYTES);
            if let Ok(phrase) = ReasonPhrase::try_from(phrase.into_bytes()) {
                response.extensions_mut().insert(phrase);
            }
        }
        Refusal::Request(RouteFault::MethodNotAllowed) => {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        Refusal::Request(fault @ (RouteFault::Canary | RouteFault::RegistryUnknown)) => {
            // Like any other denial: a HEAD has no body.
            let phrase = format!("Forbidden: {fault} (pullgate {})", id.short());
            let phrase = text::header(&phrase, limits::REASON_PHRASE_BYTES);
            if let Ok(phrase) = ReasonPhrase::try_from(phrase.into_bytes()) {
                response.extensions_mut().insert(phrase);
            }
        }
        Refusal::RangeUnsatisfiable(length) => {
            if let Ok(value) = HeaderValue::try_from(format!("bytes */{length}")) {
                headers.insert(CONTENT_RANGE, value);
            }
        }
        Refusal::Unauthenticated => {
            let challenge = HeaderValue::from_static("Basic realm=\"pullgate\", charset=\"UTF-8\"");
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        Refusal::HeadTooLarge | Refusal::Malformed | Refusal::TargetTooLong => {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Refusal::Missing(_) | Refusal::NotShown | Refusal::Request(_) => {}
    }
    if *method != Method::HEAD {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *response.body_mut() = Body::full(envelope(&error));
    }
    response
}

/// The one table from refusal to status, code and words. No URL, path, token or word of an upstream gets in.
fn describe(refusal: &Refusal, id: &str) -> OciError {
    let of = |status, code, message: &str| OciError {
        status,
        code,
        message: message.to_owned(),
        detail: String::new(),
    };
    match refusal {
        Refusal::Denied(denial) => OciError {
            status: StatusCode::FORBIDDEN,
            code: "DENIED",
            message: denial.message(id),
            detail: more_about(denial.first().code),
        },
        Refusal::Undecided(undecided) => OciError {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: "UNAVAILABLE",
            message: text::line(
                &format!("could not decide: {}; pullgate {}", undecided.code(), id),
                limits::MESSAGE_BYTES,
            ),
            detail: more_about(undecided.code()),
        },
        Refusal::Missing(Missing::Blob) => {
            of(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", "blob unknown to registry")
        }
        Refusal::Missing(Missing::Manifest) => {
            of(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", "manifest unknown")
        }
        Refusal::Missing(Missing::Name) => {
            of(StatusCode::NOT_FOUND, "NAME_UNKNOWN", "repository unknown to registry")
        }
        Refusal::NotShown => OciError {
            status: StatusCode::FORBIDDEN,
            code: "DENIED",
            message: text::line(
                &format!("the upstream does not show it, or it does not exist; pullgate {}", id),
                limits::MESSAGE_BYTES,
            ),
            detail: more_about(Code::UpstreamNotShown),
        },
        Refusal::RangeUnsatisfiable(_) => {
            of(StatusCode::RANGE_NOT_SATISFIABLE, "SIZE_INVALID", "the range lies beyond the end of the blob")
        }
        Refusal::HeadTooLarge => of(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "UNSUPPORTED",
            "the request's headers are too large",
        ),
        Refusal::TargetTooLong => {
            of(StatusCode::URI_TOO_LONG, "UNSUPPORTED", "the request target is too long")
        }
        Refusal::Unauthenticated => of(
            StatusCode::UNAUTHORIZED,
            "UNAUTHORIZED",
            "the gate wants a name and password, or a certificate",
        ),
        Refusal::Malformed => {
            let message = format!("the request is malformed; pullgate {}", id);
            of(StatusCode::BAD_REQUEST, "UNSUPPORTED", &message)
        }
        Refusal::Request(fault) => of_request(*fault, id),
    }
}

/// The error for a fault of the request itself.
fn of_request(fault: RouteFault, id: &str) -> OciError {
    let (status, code) = match fault {
        RouteFault::Canary => (StatusCode::FORBIDDEN, "DENIED"),
        RouteFault::DigestInvalid => (StatusCode::BAD_REQUEST, "DIGEST_INVALID"),
        RouteFault::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED"),
        RouteFault::NameInvalid => (StatusCode::BAD_REQUEST, "NAME_INVALID"),
        RouteFault::NoRegistry => (StatusCode::NOT_FOUND, "NAME_UNKNOWN"),
        RouteFault::NotFound => (StatusCode::NOT_FOUND, "UNSUPPORTED"),
        RouteFault::QueryInvalid => (StatusCode::BAD_REQUEST, "UNSUPPORTED"),
        RouteFault::RegistryUnknown => (StatusCode::FORBIDDEN, "DENIED"),
        RouteFault::TagInvalid => (StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"),
    };
    let message = text::line(&format!("{fault}; pullgate {}", id), limits::MESSAGE_BYTES);
    OciError { status, code, message, detail: String::new() }
}

/// Where to read more: the meaning of the code, and the record.
fn more_about(code: Code) -> String {
    format!("pullgate verify --explain {code}; the pull log has the record under this id")
}

fn envelope(error: &OciError) -> Bytes {
    let body = serde_json::json!({
        "errors": [{ "code": error.code, "message": error.message, "detail": error.detail }]
    });
    Bytes::from(body.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;
    use pullgate_policy::decide::shape_denial;

    fn denied() -> Refusal {
        Refusal::Denied(Box::new(shape_denial(Code::ManifestAmbiguous)))
    }

    #[tokio::test]
    async fn a_denial_has_one_error_and_its_reason_in_the_phrase() {
        let id = DecisionId::random();
        let response = refuse(&denied(), &id, &Method::GET, DeniedHeadStatus::Forbidden);
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        let phrase = response.extensions().get::<ReasonPhrase>().unwrap().as_bytes().to_vec();
        assert!(phrase.starts_with(b"Forbidden") && phrase.len() <= limits::REASON_PHRASE_BYTES);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(json["errors"].as_array().unwrap().len(), 1);
        assert_eq!(json["errors"][0]["code"], "DENIED");
        assert!(json["errors"][0]["message"].as_str().unwrap().contains(id.short()));
        assert!(json["errors"][0]["detail"].is_string());
    }

    #[tokio::test]
    async fn a_denied_head_has_no_body_and_300_only_by_choice() {
        let id = DecisionId::random();
        for (choice, status) in [(DeniedHeadStatus::Forbidden, 403), (DeniedHeadStatus::MultipleChoices, 300)]
        {
            let response = refuse(&denied(), &id, &Method::HEAD, choice);
            assert_eq!(response.status(), status);
            assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
        }
        assert_eq!(refuse(&denied(), &id, &Method::GET, DeniedHeadStatus::MultipleChoices).status(), 403);
        let canary = Refusal::Request(RouteFault::Canary);
        assert_eq!(refuse(&canary, &id, &Method::HEAD, DeniedHeadStatus::MultipleChoices).status(), 300);
        let undecided = Refusal::undecided(Code::Deadline);
        assert_eq!(refuse(&undecided, &id, &Method::HEAD, DeniedHeadStatus::MultipleChoices).status(), 503);
    }

    #[test]
    fn statuses_are_those_of_the_contract() {
        let id = DecisionId::random();
        for (fault, status) in [
            (RouteFault::Canary, 403),
            (RouteFault::DigestInvalid, 400),
            (RouteFault::MethodNotAllowed, 405),
            (RouteFault::NameInvalid, 400),
            (RouteFault::NoRegistry, 404),
            (RouteFault::NotFound, 404),
            (RouteFault::QueryInvalid, 400),
            (RouteFault::RegistryUnknown, 403),
            (RouteFault::TagInvalid, 404),
        ] {
            let response = refuse(&Refusal::Request(fault), &id, &Method::GET, DeniedHeadStatus::Forbidden);
            assert_eq!(response.status(), status, "{fault:?}");
        }
    }
}
