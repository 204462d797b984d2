//! Limits of transport, each with its unit: connections to registries, their answers, tokens and transfers.

use std::time::Duration;

use pullgate_policy::limits::MIB;

/// Pages of a referrers list. Over it: `referrers-incomplete`.
pub const REFERRERS_PAGES: usize = 20;
/// Bytes of all pages of a referrers list. Over it: `referrers-incomplete`.
pub const REFERRERS_BYTES: usize = 8 * MIB as usize;
/// How long a verdict may be worked on after its client has been answered. Over it: the job ends.
pub const BACKGROUND_DEADLINE: Duration = Duration::from_secs(120);
/// Time to connect to an upstream.
pub const CONNECT: Duration = Duration::from_secs(5);
/// Time for a TLS handshake, with an upstream or with a client. Over it: the connection is closed.
pub const TLS_HANDSHAKE: Duration = Duration::from_secs(5);
/// Time until the response head of an endpoint, while another one can be asked instead.
pub const FIRST_BYTE: Duration = Duration::from_secs(8);
/// The same of the last or only endpoint, and of a blob while another one can be asked, unless configured.
pub const FIRST_BYTE_LAST: Duration = Duration::from_secs(25);
/// The same of a blob from the only or the last endpoint, unless configured.
pub const FIRST_BYTE_BLOB: Duration = Duration::from_secs(60);
/// Pause between two pieces of a blob from an upstream. Over it: its connection is left, the rest asked for over another.
pub const BETWEEN_BYTES_BLOB: Duration = Duration::from_secs(10);
/// Pause between two pieces of a manifest or evidence from an upstream.
pub const BETWEEN_BYTES: Duration = Duration::from_secs(5);
/// Time for the whole body of a manifest, a list or a piece of evidence, plus one second for each
/// [`ANSWER_BYTES_PER_SECOND`] that arrived. Over it: undecided, `upstream-timeout`.
pub const ANSWER_TIME: Duration = Duration::from_secs(10);
/// Bytes that extend [`ANSWER_TIME`] by one second.
pub const ANSWER_BYTES_PER_SECOND: usize = 64 * 1024;
/// Time in which a blob's transfer is waited for, and after which it is looked how much came.
pub const BLOB_WINDOW: Duration = Duration::from_secs(10);
/// Bytes of a blob that come in that time at least. Below it: its connection is left, and the rest asked for over another.
pub const BLOB_WINDOW_BYTES: usize = 10 * 1024;
/// Repeats of one upstream request (connect errors, 502, 503, 504).
pub const UPSTREAM_RETRIES: usize = 2;
/// How long an endpoint that failed is asked after the others; doubled with each failure.
pub const ENDPOINT_REST: Duration = Duration::from_secs(10);
/// The longest that it is.
pub const ENDPOINT_REST_MAX: Duration = Duration::from_secs(60);
/// How often the rest of one blob is asked for when its transfer breaks without progress. Over it: the transfer ends.
pub const BLOB_RESUMES: u32 = 3;
/// Bytes of a blob between two breaks that count as progress, and reset the count of breaks.
pub const BLOB_PROGRESS_BYTES: u64 = 16 * 1024;
/// Redirects followed for one upstream request. Over it: `redirect-refused`.
pub const REDIRECTS: usize = 5;
/// Bytes of an upstream's response head. Over it: `upstream-protocol`.
pub const UPSTREAM_HEADER_BYTES: usize = 64 * 1024;
/// Headers of an upstream's response. Over it: `upstream-protocol`.
pub const UPSTREAM_HEADERS: usize = 100;
/// Interim answers (1xx) before an upstream's answer. Over it: `upstream-protocol`.
pub const UPSTREAM_INTERIM: usize = 8;
/// Bytes of a `WWW-Authenticate` header. Over it: `upstream-unauthorized`.
pub const CHALLENGE_BYTES: usize = 4 * 1024;
/// Bytes of a token service's answer. Over it: `upstream-unauthorized`.
pub const TOKEN_BODY_BYTES: u64 = MIB;
/// Bytes of a token. Over it: `upstream-unauthorized`.
pub const TOKEN_BYTES: usize = 64 * 1024;
/// Longest life of a token, whatever the service says.
pub const TOKEN_LIFE_MAX: Duration = Duration::from_secs(3600);
/// Shortest life of a token, whatever the service says.
pub const TOKEN_LIFE_MIN: Duration = Duration::from_secs(10);
/// Bytes read of an upstream's error body, which is never passed on.
pub const ERROR_BODY_BYTES: u64 = 64 * 1024;
/// Time for a credential helper.
pub const CREDENTIAL_HELPER: Duration = Duration::from_secs(10);
/// Bytes of a request target. Over it: 414.
pub const TARGET_BYTES: usize = 8 * 1024;
