//! What one request, verdict, upstream, client address and the process can cost at most: as the limits say it.

use pullgate_policy::limits;
use pullgate_policy::limits::MIB;

/// What bounds one party.
struct Bound {
    of: &'static str,
    requests: String,
    processor: String,
    memory: String,
    disk: String,
}

/// The rows as `SECURITY.md` has them.
#[must_use]
pub fn bounds() -> String {
    let mut text =
        "| of one | requests upstream | computing | memory | disk |\n|---|---|---|---|---|\n".to_owned();
    for Bound { of, requests, processor, memory, disk } in
        [request(), verdict(), upstream(), address(), process()]
    {
        text.push_str(&format!("| {of} | {requests} | {processor} | {memory} | {disk} |\n"));
    }
    text
}

/// Of a client, but for the verdict that it waits for.
fn request() -> Bound {
    let tries = 1 + pullgate::upstream::limits::UPSTREAM_RETRIES;
    Bound {
        of: "request, besides its verdict",
        requests: format!(
            "{tries}; of a blob that nothing grants {} more, once in `deny_ttl` for each repository",
            pullgate::limits::CHILDREN_READ_FOR_BLOB
        ),
        processor: format!(
            "{} of a manifest hashed and read; a password's 2^{} rounds",
            mib(limits::MANIFEST_BYTES),
            pullgate_config::limits::BCRYPT_COST_MAX
        ),
        memory: format!(
            "{} of head, {} of a manifest and {} values of it, or some pieces of {} KiB of a blob",
            kib(pullgate::limits::REQUEST_HEAD_BYTES as u64),
            mib(limits::MANIFEST_BYTES),
            limits::MANIFEST_VALUES,
            pullgate::store::limits::STREAM_CHUNK_WARM_BYTES / 1024
        ),
        disk: format!("{} of a manifest, or the blob that is granted", mib(limits::MANIFEST_BYTES)),
    }
}

fn verdict() -> Bound {
    let lists = pullgate::upstream::limits::REFERRERS_PAGES + 4;
    let bytes = limits::EVIDENCE_BYTES + limits::EVIDENCE_CARRIERS_BYTES;
    Bound {
        of: "verdict",
        requests: format!(
            "{} of evidence and {lists} of lists, each {} times where it fails",
            limits::EVIDENCE_FETCHES,
            1 + pullgate::upstream::limits::UPSTREAM_RETRIES
        ),
        processor: format!(
            "{} hashed, {} read as JSON, {} signatures, in turns of {} or {} signatures",
            mib(limits::HASHED_BYTES),
            mib(limits::PARSED_BYTES),
            limits::SIGNATURE_CHECKS,
            mib(limits::TURN_BYTES),
            limits::TURN_CHECKS
        ),
        memory: format!(
            "{} from its beginning, at most what its repository has; {} while it computes",
            mib(pullgate::limits::VERDICT_BYTES),
            mib(pullgate::limits::WORK_BYTES)
        ),
        disk: format!("{} of evidence and its manifests", mib(bytes)),
    }
}

fn upstream() -> Bound {
    Bound {
        of: "upstream, all its repositories",
        requests: format!(
            "those of {} verdicts and {} questions at once",
            pullgate::limits::VERDICTS_MAX,
            pullgate::limits::QUESTIONS_MAX
        ),
        processor: "every thread that computes while no other upstream waits for one, else every other turn"
            .to_owned(),
        memory: format!(
            "{}, and half of what others leave; of one repository {}",
            mib(pullgate::limits::IN_FLIGHT_BYTES_OF_ONE),
            mib(pullgate::limits::IN_FLIGHT_BYTES_OF_REPOSITORY)
        ),
        disk: format!(
            "{} of what nothing permitted rests on",
            mib(pullgate::store::limits::UNPROVEN_FILES_BYTES)
        ),
    }
}

fn address() -> Bound {
    Bound {
        of: "client address",
        requests: format!("a part of the upstream's {} questions", pullgate::limits::QUESTIONS_MAX),
        processor: format!(
            "{} passwords that wait for two threads; those for made-up names after all others",
            pullgate::limits::PASSWORDS_WAITING_OF_ONE
        ),
        memory: format!(
            "all {} connections while nobody else asks, else 1/{} of them, or less where there are more addresses",
            pullgate::limits::CONNECTIONS_MAX,
            pullgate::limits::CONNECTIONS_SHARES
        ),
        disk: format!(
            "{} records of refusals within a minute, {} of denials",
            pullgate::audit::limits::AUDIT_REFUSALS_OF_A_CLIENT,
            pullgate::audit::limits::AUDIT_DENIALS_OF_A_CLIENT
        ),
    }
}

fn process() -> Bound {
    let remembered = pullgate::limits::PASSING_BYTES
        + pullgate::limits::DOCUMENTS_BYTES
        + pullgate::limits::PERMITS_BYTES
        + pullgate::limits::DENIALS_BYTES
        + pullgate::limits::GRANTS_BYTES
        + pullgate::limits::PRESENCE_BYTES
        + 9 * pullgate::limits::NAMES_BYTES;
    Bound {
        of: "process",
        requests: "the sum over its upstreams".to_owned(),
        processor: "a thread for each processor".to_owned(),
        memory: format!(
            "{} of verdicts, {} of computing, {} of what is remembered, {} of blobs where no file can be had",
            mib(pullgate::limits::IN_FLIGHT_BYTES),
            mib(pullgate::limits::WORK_BYTES),
            mib(remembered),
            mib(pullgate::store::limits::BLOBS_MEMORY_BYTES)
        ),
        disk: format!(
            "`blobs_max`, {} of manifests and evidence, `audit.retain_max`, the rows of `cache.db`",
            mib(pullgate::store::limits::PERMITTED_FILES_BYTES
                + pullgate::store::limits::UNPROVEN_FILES_BYTES)
        ),
    }
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(MIB))
}

fn kib(bytes: u64) -> String {
    format!("{} KiB", bytes.div_ceil(1024))
}
