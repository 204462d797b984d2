//! The pages of the admin port in a real browser, headless: it reads them as people do, runs their script, and tells of
//! everything that their content security policy refuses.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use pullgate_tests::clients::http;
use pullgate_tests::clients::process::{Outcome, run, wait_until};
use pullgate_tests::clients::tool::{installed, require_installed};

use crate::stage::{ALIAS, INDEX, NOT_SIGNED, SIGNED, STRANGER, Stage, have};

/// What a client may call itself.
const EVIL: &str = "<script>document.title='owned'</script><img src=x onerror=document.title='owned'>";
/// How people look: wide and narrow, by day and by night.
const LOOKS: [(&str, &str, &str); 4] = [
    ("wide-light", "1280,900", "1"),
    ("wide-dark", "1280,900", "0"),
    ("narrow-light", "390,844", "1"),
    ("narrow-dark", "390,844", "0"),
];

fn start() -> io::Result<Option<Stage>> {
    if have("chromium", require_installed(&["chromium"])) { Stage::new().map(Some) } else { Ok(None) }
}

/// A browser that nobody sees, on a profile of its own.
fn chromium(home: &Path, arguments: &[&str]) -> io::Result<Outcome> {
    let program: PathBuf = installed("chromium").ok_or_else(|| io::Error::other("chromium has gone"))?;
    let mut command = Command::new(program);
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
    ]);
    command.args([
        "--no-first-run",
        "--disable-background-networking",
        "--enable-logging=stderr",
        "--timeout=20000",
    ]);
    command.arg(format!("--user-data-dir={}", home.join("chromium").display())).args(arguments);
    run(command.env("HOME", home))
}

/// Pulls of every kind, one of them by a client that calls itself what it likes; then the paths of all pages.
fn pulled(stage: &Stage) -> io::Result<Vec<String>> {
    let manifest = |name: &str| format!("/v2/{ALIAS}/{}", name.replacen(':', "/manifests/", 1));
    for (name, status) in [(SIGNED, 200), (INDEX, 200), (NOT_SIGNED, 403), (STRANGER, 403)] {
        let headers = [("User-Agent", EVIL)];
        let answer = http::call(stage.gate.address(), "GET", &manifest(name), &headers, &[])?;
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
    }
    let mut paths: Vec<String> =
        ["/", "/search", "/report", "/policy", "/shadow"].map(str::to_owned).to_vec();
    let overview = || http::get(stage.gate.admin(), "/").map(|page| page.text()).unwrap_or_default();
    wait_until("the pulls are written", || overview().matches("/answers/").count() >= 2)?;
    for place in ["/answers/", "/digests/"] {
        let page = overview();
        let found = page.split(&format!("href=\"{place}")).nth(1).and_then(|rest| rest.split('"').next());
        paths.extend(found.map(|rest| format!("{place}{rest}")));
    }
    Ok(paths)
}

#[test]
fn a_browser_shows_every_page_and_runs_no_text_of_a_client() -> io::Result<()> {
    let Some(stage) = start()? else { return Ok(()) };
    let paths = pulled(&stage)?;
    assert_eq!(paths.len(), 7, "{paths:?}");
    for path in &paths {
        let url = format!("http://{}{path}", stage.gate.admin());
        let shown = chromium(stage.home.path(), &["--virtual-time-budget=4000", "--dump-dom", &url])?;
        assert!(shown.succeeded() && shown.says("Pullgate</title>"), "{path}: {}", shown.text);
        assert!(!shown.says("owned") || shown.says("&lt;script&gt;"), "{path}: {}", shown.text);
        for refused in ["Refused to", "Content Security Policy", "Uncaught", "<title>owned"] {
            assert!(!shown.says(refused), "{path} {refused}: {}", shown.text);
        }
    }
    Ok(())
}

#[test]
fn each_page_is_drawn_wide_and_narrow_by_day_and_by_night() -> io::Result<()> {
    let Some(stage) = start()? else { return Ok(()) };
    let paths = pulled(&stage)?;
    // Who wants to look at them names a folder.
    let folder = std::env::var_os("PULLGATE_SCREENSHOTS").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| stage.home.path().to_owned());
    for path in &paths {
        let name = path.split('/').nth(1).filter(|name| !name.is_empty()).unwrap_or("overview");
        for (look, size, scheme) in LOOKS {
            let file = folder.join(format!("{name}-{look}.png"));
            let url = format!("http://{}{path}", stage.gate.admin());
            let (shot, size) = (format!("--screenshot={}", file.display()), format!("--window-size={size}"));
            let scheme = format!("--blink-settings=preferredColorScheme={scheme}");
            let drawn = chromium(stage.home.path(), &[&shot, &size, &scheme, &url])?;
            assert!(drawn.succeeded(), "{path}: {}", drawn.text);
            assert!(std::fs::metadata(&file)?.len() > 2_000, "{path} {look}: an empty picture");
        }
    }
    Ok(())
}
