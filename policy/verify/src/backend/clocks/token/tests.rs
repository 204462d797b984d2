use super::*;

#[test]
fn a_time_may_have_a_fraction_and_nothing_else() {
    let at = |text: &str| moment(text).map(|time| time.to_string());
    assert_eq!(at("20261124120000Z").as_deref(), Some("2026-11-24T12:00:00Z"));
    assert_eq!(at("20261124120000.25Z").as_deref(), Some("2026-11-24T12:00:00.25Z"));
    for bad in [
        "",
        "Z",
        "20261124120000",
        "20261124120000+0100",
        "20261124120000.Z",
        "2026112412000Z",
        "20261124126000Z",
    ] {
        assert_eq!(at(bad), None, "{bad}");
    }
}

#[test]
fn what_is_no_token_is_none() {
    for bytes in [&[][..], &[0x30, 0x00], &[0x30, 0x80], &[0x30, 0x03, 0x02, 0x01, 0x00], &[0x02, 0x01, 0x00]]
    {
        assert!(Token::read(bytes).is_none(), "{bytes:?}");
    }
}
