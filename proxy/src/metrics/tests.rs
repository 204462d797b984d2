use pullgate_policy::policy::{Covers, Exemption, Location, PolicySet, Revision, Revisions, Unmatched};

use super::*;
use crate::upstream::Quota;

const TRUST: TrustGauges =
    TrustGauges { age: Some(90.0), expires: Some(-10.0), next_refresh: Some(60.0), usable: true };

/// Metrics with something in every series.
fn used() -> Metrics {
    let audit = audit::Counters::default();
    let metrics = Metrics::with(StoreSeries::default(), &BlobSeries::default(), &audit);
    audit.lost.inc_by(2);
    audit.rows_lost.inc_by(3);
    metrics.verdict("production", "permit", "satisfied");
    metrics.undecided(Code::Deadline);
    metrics.request_refused("unknown-registry");
    metrics.shadow(Said::Permit, Said::Deny);
    metrics.stage("resolve", Duration::from_millis(3));
    metrics.upstream_request("ghcr.io", "manifest", "200");
    metrics.cache("verdicts", CacheResult::Hit);
    metrics.cache("verdicts", CacheResult::Miss);
    metrics.reload(ReloadResult::Refused);
    metrics.trust("sigstore", TRUST);
    metrics.trust_refresh("sigstore", "trust-rollback");
    metrics.verified(pullgate_verify::Cost { hashed: 4096, parsed: 5000, checks: 3 });
    metrics.policy(&policy(1));
    metrics.enforcing_scopes(4);
    metrics.blob_served("ghcr.io");
    let upstream = UpstreamLabels { upstream: "ghcr.io".to_owned() };
    metrics.0.families.upstreams.set(&upstream, Some(Quota { limit: 100, remaining: 7 }), 1);
    metrics
}

/// A policy with this many exemptions, each of which ends a second later.
fn policy(exemptions: u32) -> PolicySet {
    let revision = Revision::of([]);
    let exemption = |line: u32| Exemption {
        covers: Covers::Scopes(Vec::new()),
        until: jiff::Timestamp::from_second(1_799_999_999 + i64::from(line)).unwrap(),
        owner: "me".to_owned(),
        reason: "INC-1".to_owned(),
        location: Location { file: "policy.toml".into(), line },
    };
    PolicySet {
        revisions: Revisions { policy: revision, trust: revision },
        unmatched: Unmatched::Deny,
        authorities: std::collections::BTreeMap::new(),
        policies: Vec::new(),
        blocks: Vec::new(),
        exemptions: (1..=exemptions).map(exemption).collect(),
        permit_ttl: Duration::ZERO,
    }
}

#[test]
fn a526_exemptions_have_as_many_series_as_are_allowed_and_those_that_went_have_none() {
    let metrics = Metrics::new();
    let series = |exemptions: u32| {
        metrics.policy(&policy(exemptions));
        let text = metrics.encode();
        let of = "pullgate_exemption_end_timestamp_seconds{exemption=";
        text.lines().filter(|line| line.starts_with(of)).map(str::to_owned).collect::<Vec<_>>()
    };
    let other = "pullgate_exemption_end_timestamp_seconds{exemption=\"other\"} 1800000512.0";
    assert_eq!((series(512).len(), series(512).iter().any(|line| line == other)), (512, false));
    assert_eq!((series(600).len(), series(600).iter().any(|line| line == other)), (513, true));
    assert_eq!(series(2).len(), 2);
    assert!(series(0).is_empty());
}

#[test]
fn names_and_labels_are_those_of_the_documentation() {
    let text = used().encode();
    for line in [
        "pullgate_verdicts_total{policy=\"production\",verdict=\"permit\",ground=\"satisfied\"} 1",
        "pullgate_undecided_total{code=\"deadline\"} 1",
        "pullgate_shadow_verdicts_total{was=\"permit\",would_be=\"deny\"} 1",
        "pullgate_stage_seconds_count{stage=\"resolve\"} 1",
        "pullgate_upstream_requests_total{upstream=\"ghcr.io\",kind=\"manifest\",status=\"200\"} 1",
        "pullgate_verify_hashed_bytes_bucket{le=\"4096.0\"} 1",
        "pullgate_verify_parsed_bytes_sum 5000.0",
        "pullgate_verify_signature_checks_sum 3.0",
        "pullgate_cache_total{cache=\"verdicts\",result=\"hit\"} 1",
        "pullgate_cache_total{cache=\"verdicts\",result=\"miss\"} 1",
        "pullgate_audit_lost_total 2",
        "pullgate_audit_rows_lost_total 3",
        "pullgate_reload_total{result=\"applied\"} 0",
        "pullgate_reload_total{result=\"refused\"} 1",
        "pullgate_trust_root_age_seconds{trust=\"sigstore\"} 90.0",
        "pullgate_trust_root_expires_seconds{trust=\"sigstore\"} -10.0",
        "pullgate_trust_root_next_refresh_seconds{trust=\"sigstore\"} 60.0",
        "pullgate_trust_root_unusable{trust=\"sigstore\"} 0",
        "pullgate_trust_refresh_total{trust=\"sigstore\",result=\"trust-rollback\"} 1",
        "pullgate_enforcing_scopes 4",
        "pullgate_exemption_end_timestamp_seconds{exemption=\"policy.toml:1\"} 1800000000.0",
        "pullgate_blobs_served_total{upstream=\"ghcr.io\"} 1",
        "pullgate_connections 0",
        "pullgate_connections_of_one 0",
        "pullgate_connections_limit 0",
        "pullgate_connections_closed_total{why=\"queue\"} 0",
        "pullgate_connections_closed_total{why=\"share\"} 0",
        "pullgate_connections_closed_total{why=\"silence\"} 0",
        "# EOF",
    ] {
        assert!(text.lines().any(|given| given == line), "{line}\n{text}");
    }
}

#[test]
fn a526_series_do_not_grow_with_names_nobody_configured() {
    let metrics = Metrics::new();
    let count = |from: u32| {
        for n in from..from + 10_000 {
            let name = format!("{n}.example");
            metrics.verdict(&name, "deny", "");
            metrics.blob_served(&name);
        }
        metrics.encode().lines().count()
    };
    assert_eq!(count(0), count(10_000));
}

#[test]
fn a_hostile_name_breaks_no_line() {
    let metrics = Metrics::new();
    metrics.verdict("a\n# EOF\"} 1\u{1b}[31m", "permit", "satisfied");
    let text = metrics.encode();
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text}");
    assert_eq!(text.lines().filter(|line| *line == "# EOF").count(), 1, "{text}");
}

#[test]
fn clones_are_one() {
    let metrics = Metrics::new();
    metrics.clone().undecided(Code::Deadline);
    assert!(metrics.encode().contains("pullgate_undecided_total{code=\"deadline\"} 1"));
}

/// The names between backticks in the first cells of the table of metrics.
fn documented() -> std::collections::BTreeSet<String> {
    let text = include_str!("../../README.md");
    let cells = text.lines().filter_map(|line| line.strip_prefix("| `pullgate_")?.split(" | ").next());
    cells
        .flat_map(|cell| cell.split('`').step_by(2))
        .map(|name| name.trim_matches([',', ' ']).trim_start_matches("pullgate_").to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn the_table_of_the_readme_has_every_metric_and_no_other() {
    let metrics = used();
    metrics.look_into_rooms(Box::new(|| vec![Room { name: "memory_work", used: 1, limit: 2 }]));
    let text = metrics.encode();
    let kinds = text.lines().filter_map(|line| line.strip_prefix("# TYPE pullgate_")?.split_once(' '));
    let printed: std::collections::BTreeSet<String> = kinds
        .map(|(name, kind)| if kind == "counter" { format!("{name}_total") } else { name.to_owned() })
        .collect();
    assert_eq!(documented(), printed);
}
