//! Output of the demo: the table, and commands to try by hand.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use super::images::TAG;
use super::pulled::{Outcome, Row, Word};
use super::recorded::REGISTRY;
use crate::cli::paint::Paint;

/// The table, and how many lines of it are as they should be.
pub(super) fn table(rows: &[Row], paint: Paint) -> String {
    let widths = (
        width(rows, |row| row.shown.repository.len() + TAG.len() + 1),
        width(rows, |row| row.shown.what.len()),
    );
    let mut shown = format!(
        "{:image$}  {:what$}  {}  {:9}  {:14}  {}\n",
        "IMAGE",
        "WHAT IT IS",
        "TAG DIGEST HEAD",
        "VERDICT",
        "POLICY LINE",
        "REASON",
        image = widths.0,
        what = widths.1
    );
    for row in rows {
        let image = format!("{}:{TAG}", row.shown.repository);
        let [by_tag, by_digest, head] = row.statuses.map(|status| status.as_u16());
        let place = row.location.as_ref().map(ToString::to_string).unwrap_or_default();
        let verdict = format!("{:9}", row.verdict.as_str());
        let verdict = match row.verdict {
            Word::Deny => paint.bad(&verdict),
            Word::Permit => paint.good(&verdict),
            Word::Undecided | Word::Warn => paint.odd(&verdict),
        };
        let wrong = match row.outcome {
            Outcome::AsExpected => "",
            Outcome::Other => "  <- NOT AS EXPECTED",
        };
        let _ = writeln!(
            shown,
            "{image:image_width$}  {what:what_width$}  {by_tag} {by_digest:6} {head:4}  {verdict}  {place:14}  {reason}{wrong}",
            image_width = widths.0,
            what = row.shown.what,
            what_width = widths.1,
            reason = row.reason,
        );
    }
    let good = rows.iter().filter(|row| row.outcome == Outcome::AsExpected).count();
    let _ = writeln!(shown, "\n{good} of {} are as they should be.", rows.len());
    shown
}

fn width(rows: &[Row], of: impl Fn(&Row) -> usize) -> usize {
    rows.iter().map(of).max().unwrap_or_default()
}

/// Where everything is.
pub(super) struct Places<'a> {
    pub(super) gate: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) upstream: SocketAddr,
    pub(super) folder: &'a Path,
}

/// Where the parts listen, before the table.
pub(super) fn intro(places: &Places<'_>) -> String {
    format!(
        "http://{}/  shows what is pulled, refused and why: open it in a browser\n\n\
         upstream  {}  a registry of recorded images, really signed by cosign; the gate knows it as {REGISTRY}\n\
         gate      {}  answers clients\n\
         policy    {}\n\n",
        places.admin,
        places.upstream,
        places.gate,
        places.folder.join("policy.toml").display(),
    )
}

/// The lines to try by hand.
pub(super) fn try_it(places: &Places<'_>, paint: Paint) -> String {
    let Places { gate, admin, folder, .. } = places;
    let (good, bad) = (format!("shop/key:{TAG}"), format!("shop/unsigned:{TAG}"));
    let folder = folder.display();
    let sections = [
        (
            "curl: the first is served, the others are refused with the reason in body or status line",
            vec![
                format!("curl -i http://{gate}/v2/shop/key/manifests/{TAG}"),
                format!("curl -i http://{gate}/v2/shop/unsigned/manifests/{TAG}"),
                format!("curl -sI http://{gate}/v2/shop/stranger/manifests/{TAG}"),
            ],
        ),
        (
            "crane",
            vec![
                format!("crane manifest --insecure {gate}/{good}"),
                format!("crane manifest --insecure {gate}/{bad}"),
            ],
        ),
        (
            "skopeo",
            vec![
                format!("skopeo copy --src-tls-verify=false docker://{gate}/{good} dir:/tmp/pullgate-demo"),
                format!("skopeo copy --src-tls-verify=false docker://{gate}/{bad} dir:/tmp/pullgate-demo"),
            ],
        ),
        (
            "podman",
            vec![
                format!("podman pull --tls-verify=false {gate}/{good}"),
                format!("podman pull --tls-verify=false {gate}/{bad}"),
            ],
        ),
        (
            "containerd, with the gate as mirror of every registry",
            vec![
                format!("ctr images pull --hosts-dir {folder}/certs.d {REGISTRY}/{good}"),
                format!("ctr images pull --hosts-dir {folder}/certs.d {REGISTRY}/{bad}"),
            ],
        ),
        (
            "cosign finds its signatures through the gate",
            vec![format!(
                "cosign verify --key {folder}/release.pub --insecure-ignore-tlog --allow-http-registry {gate}/{good}"
            )],
        ),
        (
            "why, from the gate's side",
            vec![
                format!("pullgate verify --config {folder}/pullgate.toml {REGISTRY}/{bad}"),
                format!("tail -n 1 {folder}/audit.log"),
                format!("curl -s http://{admin}/metrics"),
            ],
        ),
    ];
    let mut shown = String::from("Try it by hand:\n");
    for (title, lines) in sections {
        let _ = writeln!(shown, "\n  {}", paint.dim(&format!("# {title}")));
        for line in lines {
            let _ = writeln!(shown, "  {line}");
        }
    }
    shown.push_str("\nServing until Ctrl-C; everything is then removed.\n");
    shown
}
