use super::*;

const ROOT: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const LINE: &str = "\u{2014} log.example AAAAAAE=\n";

fn note(text: &str, lines: &str) -> String {
    format!("{text}\n{lines}")
}

#[test]
fn a309_a_note_is_read_line_by_line() {
    let good = note(&format!("log.example\n7\n{ROOT}\nmore\n"), &LINE.repeat(2));
    let read = Note::read(&good).unwrap();
    assert_eq!((read.origin, read.size, read.root.len()), ("log.example", 7, 32));
    assert_eq!(read.text, format!("log.example\n7\n{ROOT}\nmore\n"));
    let lines: Vec<_> = read.lines.iter().map(|line| (line.name, line.hint, line.signature.len())).collect();
    assert_eq!(lines, [("log.example", [0; 4], 1), ("log.example", [0; 4], 1)]);
}

#[test]
fn a309_what_two_readers_could_read_differently_is_no_note() {
    let text = format!("log.example\n7\n{ROOT}\n");
    assert!(Note::read(&note(&text, LINE)).is_some());
    for (what, bad) in [
        ("no signature", note(&text, "")),
        ("no last newline", note(&text, LINE.trim_end())),
        ("an empty line in the text", note(&format!("{text}\nmore\n"), LINE)),
        ("an empty line among the signatures", note(&text, &format!("{LINE}\n{LINE}"))),
        ("a hyphen", note(&text, &LINE.replace('\u{2014}', "-"))),
        ("two spaces", note(&text, &LINE.replace("example ", "example  "))),
        ("no name", note(&text, "\u{2014}  AAAAAAE=\n")),
        ("no signature behind the hint", note(&text, "\u{2014} log.example AAAAAA==\n")),
        ("no base64", note(&text, "\u{2014} log.example AAAA*\n")),
        ("a carriage return", note(&text, LINE).replace('\n', "\r\n")),
        ("no origin", note(&format!("\n7\n{ROOT}\n"), LINE)),
        ("a signed size", note(&format!("log.example\n+7\n{ROOT}\n"), LINE)),
        ("no size", note(&format!("log.example\n\n{ROOT}\n"), LINE)),
        ("a short root", note("log.example\n7\nAAAA\n", LINE)),
    ] {
        assert!(Note::read(&bad).is_none(), "{what}");
    }
}

#[test]
fn a625_the_hosts_of_an_address_and_of_a_tree() {
    for (address, host) in [
        ("https://log.example", Some("log.example")),
        ("https://log.example/", Some("log.example")),
        ("https://user@log.example:8443/api?x#y", Some("log.example")),
        ("https://[::1]:8443", Some("::1")),
        ("log.example", None),
        ("https://", None),
        ("https://a+b", None),
        ("", None),
    ] {
        assert_eq!(host_of_address(address).as_deref(), host, "{address}");
    }
    for (origin, host) in [
        ("rekor.example - 2605736670972794746", Some("rekor.example")),
        ("rekor.example - ", None),
        ("rekor.example - 12a", None),
        ("rekor.example", None),
    ] {
        assert_eq!(host_of_tree(origin), host, "{origin}");
    }
}
