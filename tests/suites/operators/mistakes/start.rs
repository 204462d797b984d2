//! What `serve` would fail of beside the files: `check` refuses it before.

use std::process::Command;

use pullgate_tests::clients::tool;

use super::files::{CONFIG, Files};

/// What a gate of these files exits with; 124 where it serves.
fn serve(files: &Files) -> Option<i32> {
    let mut command = Command::new("timeout");
    command.arg("10").arg(tool::gate().unwrap()).args(["serve", "--config"]);
    command.arg(files.path().join("pullgate.toml")).output().unwrap().status.code()
}

#[test]
fn check_refuses_what_serve_refuses_and_says_which_setting() {
    const ADDRESSES: &str = "[listen]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\n";
    let with = |audit: &str| {
        Files::config(&CONFIG.replace("[upstream", &format!("{ADDRESSES}[audit]\n{audit}\n[upstream")))
    };
    let files = with("log = \"pull.log\"");
    assert_eq!((files.check(&[]).status, serve(&files)), (0, Some(124)));
    for (audit, state, key) in [
        ("log = \"absent/pull.log\"", None, "`audit.log`"),
        ("log = \"state.d\"", Some("state.d"), "`audit.log`"),
        ("log = \"pull.log\"", Some("state"), "`state`"),
    ] {
        let files = with(audit);
        match state {
            Some("state") => files.write("state", b"a file"),
            Some(folder) => std::fs::create_dir(files.path().join(folder)).unwrap(),
            None => {}
        }
        let checked = files.check(&[]);
        assert_eq!(checked.status, 2, "{audit} {}", checked.text);
        assert!(checked.text.contains(key), "{audit} {}", checked.text);
        let served = serve(&files);
        assert!(served != Some(0) && served != Some(124), "{audit} {served:?}");
    }
}
