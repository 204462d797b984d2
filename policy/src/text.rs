//! Text from outside, made fit for a log line, a header or a person's screen (A521, A522).

use crate::limits;

/// Shows `text` with every control and bidirectional character escaped, cut to `log_field_bytes` with a mark.
#[must_use]
pub fn escape(text: &str) -> String {
    if needs_no_escape(text) {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(text.len().min(limits::LOG_FIELD_BYTES));
    for c in text.chars() {
        let piece = escaped(c);
        if shown.len() + piece.len() > limits::LOG_FIELD_BYTES - MARK.len() {
            shown.push_str(MARK);
            break;
        }
        shown.push_str(&piece);
    }
    shown
}

/// The same in full: for a text that is not to be cut.
#[must_use]
pub fn escape_whole(text: &str) -> String {
    if text.contains(is_unsafe) { text.chars().map(escaped).collect() } else { text.to_owned() }
}

fn escaped(c: char) -> String {
    if is_unsafe(c) { c.escape_unicode().to_string() } else { c.into() }
}

const MARK: &str = "[cut]";

/// Escapes a text where it is.
pub fn escape_in_place(text: &mut String) {
    if !needs_no_escape(text) {
        *text = escape(text);
    }
}

/// Tells at once of most texts that [`escape`] gives them back as they are.
fn needs_no_escape(text: &str) -> bool {
    text.len() <= limits::LOG_FIELD_BYTES - MARK.len()
        && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// Tells whether a character can change how the text around it is shown or split.
#[must_use]
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Keeps what a header may carry: visible ASCII and spaces; a double quote becomes a single one, anything else a `?`. Cut
/// at a word within `limit`.
#[must_use]
pub fn header(text: &str, limit: usize) -> String {
    let plain: String = text
        .chars()
        .map(|c| match c {
            '"' => '\'',
            '\\' => '?',
            c if c.is_ascii_graphic() || c == ' ' => c,
            _ => '?',
        })
        .collect();
    shorten(&plain, limit)
}

/// One line of at most `limit` ASCII characters for a denial's message; quotes stay, controls go.
#[must_use]
pub fn line(text: &str, limit: usize) -> String {
    let plain: String =
        text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect();
    shorten(&plain, limit)
}

fn shorten(plain: &str, limit: usize) -> String {
    if plain.len() <= limit {
        return plain.to_owned();
    }
    let room = limit.saturating_sub(3);
    let head: String = plain.chars().take(room).collect();
    let kept = head.rsplit_once(' ').map_or(head.as_str(), |(kept, _)| kept);
    format!("{kept}...")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a521_controls_and_bidi_are_escaped_and_length_is_bounded() {
        assert_eq!(escape("a\r\n\u{1b}[1m\u{202e}b"), "a\\u{d}\\u{a}\\u{1b}[1m\\u{202e}b");
        let long = escape(&"é".repeat(limits::LOG_FIELD_BYTES));
        assert!(long.len() <= limits::LOG_FIELD_BYTES && long.ends_with(MARK));
    }

    #[test]
    fn a521_a_text_is_whole_up_to_its_limit_and_cut_one_byte_after() {
        let shown = |text: &str| {
            let mut in_place = text.to_owned();
            escape_in_place(&mut in_place);
            assert_eq!(in_place, escape(text));
            in_place
        };
        // 1,024 bytes with the mark of 5; the second begins with a letter of two bytes, which takes the long way.
        for start in ["a", "é"] {
            let text = |bytes: usize| format!("{start}{}", "x".repeat(bytes - start.len()));
            assert_eq!(shown(&text(1_019)), text(1_019));
            assert_eq!(shown(&text(1_020)), format!("{}[cut]", text(1_019)));
            assert_eq!(shown(&text(3_000)), format!("{}[cut]", text(1_019)));
        }
        assert_eq!(shown(""), "");
        assert_eq!(shown("a\nb"), "a\\u{a}b");
    }

    #[test]
    fn a522_what_is_longer_than_its_limit_ends_at_a_word() {
        for cut in [header, line] {
            assert_eq!(cut("aaaa bbbb", 9), "aaaa bbbb");
            assert_eq!(cut("aaaa bbbb", 8), "aaaa...");
            assert_eq!(cut("aaaabbbb", 7), "aaaa...");
        }
        assert_eq!(line("a \"b\" \\ c\r\né", 100), "a \"b\" \\ c???");
    }

    #[test]
    fn a522_a_header_holds_visible_ascii_only() {
        assert_eq!(header("pol\"icy é\r\n x\\", 100), "pol'icy ??? x?");
        assert!(header(&"word ".repeat(100), limits::WARNING_BYTES).len() <= limits::WARNING_BYTES);
    }
}
