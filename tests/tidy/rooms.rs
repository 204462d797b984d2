//! Rooms point one way: the files and folders directly in a package's `src` stand in one order, and each imports from what
//! stands before it only. Where two cannot be had apart, they stand here with the reason.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree::{File, assert_none, files};

struct Rooms {
    folder: &'static str,
    /// Whatever stands earlier may be imported by whatever stands later.
    order: &'static [&'static str],
    /// Imports upwards that stay: who, whom, why.
    circles: &'static [(&'static str, &'static str, &'static str)],
}

const PACKAGES: [Rooms; 7] = [
    Rooms {
        folder: "policy/src/",
        order: &[
            "code",
            "limits",
            "time",
            "strict_json",
            "strict_cbor",
            "text",
            "oci",
            "content",
            "forge",
            "identity",
            "provenance",
            "expression",
            "seal",
            "scope",
            "policy",
            "grant",
            "verdict",
            "evidence",
            "decide",
            "readers",
        ],
        circles: &[
            (
                "oci",
                "content",
                "a document is read from bytes whose hash was checked, and is what intact bytes are read as",
            ),
            (
                "grant",
                "verdict",
                "two proofs that share privacy: a permit gives grants, and a grant holds its root's permit",
            ),
            (
                "evidence",
                "decide",
                "evidence passes by the same rule for who vouches as a verdict is reached by",
            ),
        ],
    },
    Rooms {
        folder: "policy/verify/src/",
        order: &[
            "artifact",
            "encoding",
            "asn1",
            "proto",
            "fault",
            "key",
            "material",
            "token",
            "certificate",
            "claim",
            "dsse",
            "legacy",
            "trust",
            "backend",
            "ring",
            "loose",
            "found",
            "budget",
            "reading",
            "notation",
            "keyed",
            "keyless",
            "bundle",
            "engine",
            "subjects",
            "refresh",
        ],
        circles: &[
            (
                "trust",
                "backend",
                "a trust table is what the library made of it, which is named in `backend` alone",
            ),
            ("trust", "notation", "a trust table of stores stands beside the others"),
            ("notation", "engine", "a proof is made here and told there"),
            ("keyed", "engine", "a proof is made here and told there"),
            ("keyless", "engine", "a proof is made here and told there"),
        ],
    },
    Rooms {
        folder: "config/src/",
        order: &[
            "limits",
            "code",
            "suggest",
            "foreign",
            "secret",
            "source",
            "reader",
            "files",
            "diagnostic",
            "context",
            "value",
            "trust",
            "config",
            "defaults",
            "upstreams",
            "scope",
            "policy_file",
            "config_file",
            "expectations",
            "against",
            "import",
        ],
        circles: &[
            (
                "reader",
                "context",
                "one concept in two files: a table is read, and what is wrong with it is told",
            ),
            (
                "files",
                "diagnostic",
                "one concept in two files: a diagnostic points into a file that was read",
            ),
            ("trust", "defaults", "the built-in tables are defaults, and are read as tables"),
        ],
    },
    Rooms {
        folder: "proxy/upstream/src/",
        order: &[
            "limits",
            "address",
            "fault",
            "notices",
            "off",
            "origin",
            "pinned",
            "quota",
            "realm",
            "redirect",
            "rest",
            "single_flight",
            "token",
            "tunnel",
            "answer",
            "challenge",
            "endpoints",
            "link",
            "patience",
            "settings",
            "connect",
            "credentials",
            "client",
            "access",
            "registry",
            "asking",
            "rest_of_blob",
            "resumed",
            "lists",
            "files",
        ],
        circles: &[],
    },
    Rooms {
        folder: "proxy/store/src/",
        order: &[
            "clock",
            "condition",
            "limits",
            "descriptors",
            "unknown",
            "waits",
            "folder",
            "files",
            "documents",
            "blobs",
            "sqlite",
            "copy",
            "loss",
            "db",
            "store",
        ],
        circles: &[],
    },
    Rooms {
        folder: "proxy/audit/src/",
        order: &[
            "limits", "exported", "counters", "hash", "key", "fault", "id", "record", "note", "chain",
            "verify", "vsa", "texts", "facts", "read", "waits", "tally", "log", "lines", "status", "taken",
            "database", "writer", "queues", "audit",
        ],
        circles: &[(
            "log",
            "lines",
            "a log is opened at its last whole line, and its lines are read again from its files",
        )],
    },
    Rooms {
        folder: "proxy/src/",
        order: &[
            "limits",
            "telemetry",
            "health",
            "waits",
            "accept",
            "route",
            "effort",
            "slots",
            "evidence_budget",
            "compute_pool",
            "seal_key",
            "refusal",
            "signers",
            "report",
            "metrics",
            "admin",
            "memory",
            "state",
            "trust",
            "clients",
            "tls",
            "live",
            "pull",
            "stories",
            "shadow",
            "app",
            "http",
            "pages",
            "server",
            "cli",
            "main",
        ],
        circles: &[],
    },
];

struct Import {
    from: String,
    line: usize,
    room: String,
}

#[test]
fn rooms_point_one_way() {
    let all = files(&[".rs"]);
    let mut findings = Vec::new();
    for package in &PACKAGES {
        findings.extend(against(package, &all));
    }
    assert_none("an import that points upwards, or a room that has no place", &findings);
}

#[test]
fn a_planted_import_upwards_is_found_with_its_file_and_line() {
    let planted =
        |text: &str| File { path: "proxy/src/pull/from_memory.rs".to_owned(), text: text.to_owned() };
    let package = PACKAGES.iter().find(|package| package.folder == "proxy/src/").unwrap();
    for (text, line) in [
        ("//! Pure.\n\nuse crate::http::respond;\n", 3),
        ("use crate::{\n    http::respond,\n    live::Live,\n};\n", 2),
        ("use super::super::server;\n", 1),
        ("fn f() {\n    crate::cli::run();\n}\n", 2),
    ] {
        let found = against(package, &[planted(text)]);
        let upwards: Vec<_> =
            found.iter().filter(|finding| finding.starts_with("proxy/src/pull/from_memory.rs")).collect();
        assert_eq!(upwards.len(), 1, "{found:?}");
        assert!(upwards[0].starts_with(&format!("proxy/src/pull/from_memory.rs:{line}: ")), "{found:?}");
    }
    for text in [
        "use crate::live::Live;\n",
        "// crate::http\n",
        "#[cfg(test)]\nmod tests {\n    use crate::http::respond;\n}\n",
    ] {
        let found = against(package, &[planted(text)]);
        assert!(
            !found.iter().any(|finding| finding.starts_with("proxy/src/pull/from_memory.rs")),
            "{found:?}"
        );
    }
}

fn against(package: &Rooms, all: &[File]) -> Vec<String> {
    let place: BTreeMap<&str, usize> =
        package.order.iter().enumerate().map(|(at, room)| (*room, at)).collect();
    let others = packages(all, package.folder);
    let mut left: BTreeSet<(&str, &str)> =
        package.circles.iter().map(|(who, whom, _)| (*who, *whom)).collect();
    let (mut findings, mut rooms) = (Vec::new(), BTreeSet::new());
    for file in all.iter().filter(|file| file.path.starts_with(package.folder)) {
        let inside = &file.path[package.folder.len()..];
        let room = inside.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
        if room == "lib" || is_test(inside) {
            continue;
        }
        let Some(own) = place.get(room.as_str()) else {
            findings.push(format!("{}: the room {room} has no place in the order", file.path));
            continue;
        };
        for Import { from, line, room: whom } in imports(file, inside) {
            if others.contains(&whom) {
                continue;
            }
            let Some(above) = place.get(whom.as_str()) else {
                findings.push(format!("{from}:{line}: `{whom}` is no room: import it from where it stands"));
                continue;
            };
            let known = package.circles.iter().find(|(who, other, _)| *who == room && *other == whom);
            if let Some((who, other, _)) = known {
                left.remove(&(*who, *other));
            } else if above > own {
                findings.push(format!("{from}:{line}: {room} stands below {whom}"));
            }
        }
        rooms.insert(room);
    }
    if rooms.len() > 1 {
        let gone = package.order.iter().filter(|room| !rooms.contains(**room));
        findings.extend(gone.map(|room| format!("{}: there is no room {room}", package.folder)));
        findings.extend(
            left.iter().map(|(who, whom)| format!("{}: {who} no longer imports {whom}", package.folder)),
        );
    }
    findings
}

/// The names that a package's `lib.rs` gives to other packages, which stand below all of its rooms.
fn packages(all: &[File], folder: &str) -> BTreeSet<String> {
    let root = all.iter().find(|file| file.path == format!("{folder}lib.rs"));
    let lines = root.into_iter().flat_map(|file| file.text.lines());
    let given = lines.filter_map(|line| line.strip_prefix("pub use pullgate_")?.strip_suffix(';'));
    given.map(|path| path.rsplit([' ', ':']).next().unwrap().to_owned()).collect()
}

fn is_test(inside: &str) -> bool {
    inside.split('/').any(|part| part == "tests" || part == "tests.rs") || inside == "still.rs"
}

/// What a file imports of other rooms, by `crate::` and by as many `super::` as lead there.
fn imports(file: &File, inside: &str) -> Vec<Import> {
    let depth = inside.trim_end_matches("/mod.rs").split('/').count();
    let supers = format!("{}::", vec!["super"; depth].join("::"));
    let own = inside.split('/').next().unwrap().trim_end_matches(".rs");
    let code = file.text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let code: Vec<&str> =
        code.lines().map(|line| if line.trim_start().starts_with("//") { "" } else { line }).collect();
    let text = code.join("\n");
    let mut found = Vec::new();
    for root in ["crate::", supers.as_str()] {
        for (at, _) in text.match_indices(root) {
            let before = text[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ':')) {
                continue;
            }
            let start = at + root.len();
            for (name, offset) in names(&text[start..]) {
                let line = text[..start + offset].matches('\n').count() + 1;
                if name != own && name != "super" && name != "self" {
                    found.push(Import { from: file.path.clone(), line, room: name });
                }
            }
        }
    }
    found
}

/// The first names of a path, or of each path in its braces, and where they stand.
fn names(path: &str) -> Vec<(String, usize)> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    if !path.starts_with('{') {
        return vec![(word(path), 0)];
    }
    let (mut found, mut depth, mut fresh) = (Vec::new(), 0, false);
    for (at, c) in path.char_indices() {
        match c {
            '{' => (depth, fresh) = (depth + 1, depth == 0),
            '}' if depth == 1 => break,
            '}' => depth -= 1,
            ',' => fresh = depth == 1,
            c if fresh && (c.is_alphabetic() || c == '_') => {
                found.push((word(&path[at..]), at));
                fresh = false;
            }
            _ => {}
        }
    }
    found
}
