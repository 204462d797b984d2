//! The page on the policy language has every code of a remark, and no other.

use pullgate_config::{Accept, RemarkCode};

const PAGE: &str = include_str!("../../../policy/README.md");

#[test]
fn the_page_has_a_row_for_each_code_and_no_other() {
    let (_, rest) = PAGE.split_once("<!-- remarks -->\n").unwrap();
    let (table, rest) = rest.split_once("<!-- /remarks -->").unwrap();
    let rows: Vec<&str> = table.lines().skip(2).collect();
    let of = |code: &RemarkCode| {
        format!("| `{}` | {} | {} |", code.as_str(), code.weight().as_str(), code.meaning())
    };
    assert_eq!(rows, RemarkCode::ALL.iter().map(of).collect::<Vec<_>>());
    for accept in Accept::ALL {
        assert!(rest.contains(&format!("| `{}` | ", accept.as_str())), "{}", accept.as_str());
    }
}

#[test]
fn codes_are_told_apart() {
    let mut codes: Vec<&str> = RemarkCode::ALL.iter().map(|code| code.as_str()).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), RemarkCode::ALL.len());
}
