//! The text of the two files, with the comments that a person goes on from.

use std::fmt::Write as _;

use super::found::{Found, Why};

/// Repositories that are named in a comment. Over it: how many more there are.
const SHOWN: usize = 40;

pub(super) fn configuration(found: &Found, state: &str) -> String {
    let runtimes: Vec<_> = found.runtimes.iter().map(|runtime| runtime.as_str()).collect();
    let mut text = format!(
        "# The gate of this machine, as `pullgate init` found it: {}.\n\
         # Every key: config/README.md. After a change: pullgate check --config THIS FILE; a running gate takes it by itself.\n\
         policy = \"policy.toml\"\n\
         state = \"{state}\"\n\
         seal_key_file = \"seal.key\" # outside state; made at the first start where the gate may write here\n\n\
         [listen]\n\
         address = \"127.0.0.1:5000\" # this machine alone; another address wants tls\n\
         default_registry = \"docker.io\"\n\n\
         [admin]\n\
         address = \"127.0.0.1:5001\" # health and metrics\n\n\
         # The registries that may be asked; no other one ever is. Private ones want\n\
         # credentials = {{ docker_config = \"docker-config.json\" }}\n",
        runtimes.join(", ")
    );
    for (registry, why) in &found.registries {
        let name = registry.as_str();
        let says = match why {
            Why::Image => " # images of it are here",
            Why::Insecure => " # a runtime here reaches it without TLS: mend that where you can",
            Why::Named => " # a runtime here names it",
            Why::Usual => "",
        };
        let _ = writeln!(text, "\n[upstream.\"{name}\"]{says}");
        if *why == Why::Insecure {
            let _ = writeln!(text, "url = \"http://{name}\"");
        }
        if let Some((host, port)) = name.rsplit_once(':') {
            let _ = writeln!(text, "aliases = [\"{host}_{port}\"] # for clients that name it in a path");
        }
    }
    text
}

pub(super) fn policy(found: &Found) -> String {
    let mut text = "# What no scope below matches is served with a warning, and the pull log says so. \"deny\" refuses it.\n\
         unmatched = \"warn\"\n\n\
         # Who signs, and which repositories they have to sign. `pullgate survey IMAGE` shows who signed an image, and prints these\n\
         # lines for it. The guide from here to refusing: deploy/README.md.\n\
         #\n\
         # [authority.ci]\n\
         # issuer = \"https://token.actions.githubusercontent.com\"\n\
         # identity = \"https://github.com/myorg/myrepo/.github/workflows/release.yml@refs/heads/main\"\n\
         #\n\
         # [[policy]]\n\
         # name = \"production\"\n\
         # scope = [\"ghcr.io/myorg/**\"]\n\
         # mode = \"warn\"                          # \"enforce\" refuses\n\
         #\n\
         # [[policy.require]]\n\
         # signed_by = { any_of = [\"ci\"] }\n"
        .to_owned();
    if !found.repositories.is_empty() {
        text.push_str("\n# The repositories of the images that are here:\n");
        for repository in found.repositories.iter().take(SHOWN) {
            let _ = writeln!(text, "#   {repository}");
        }
        let more = found.repositories.len().saturating_sub(SHOWN);
        if more > 0 {
            let _ = writeln!(text, "#   and {more} more");
        }
    }
    text
}
