//! Regular expressions of Go (RE2) in the words of the policy language, where a pattern always means the whole text.

use super::trusted::Pattern;

/// A pattern that is searched for anywhere, as one over the whole text. None where it is no pattern there, or where two
/// engines could read it differently.
pub(super) fn searched(pattern: &str) -> Option<Pattern> {
    let translated = translated(pattern)?;
    if has_choice(pattern) {
        return Some(Pattern::Regex(format!(".*(?:{translated}).*")));
    }
    let (begins, rest) = match translated.strip_prefix('^') {
        Some(rest) => (true, rest),
        None => (false, translated.as_str()),
    };
    let (ends, body) = match rest.strip_suffix('$').filter(|body| !ends_escaping(body)) {
        Some(body) => (true, body),
        None => (false, rest),
    };
    if let Some(text) = literal(body).filter(|_| begins && ends) {
        return Some(Pattern::Exact(text));
    }
    // Nothing stands before the scheme of an address.
    let front = match begins || body.starts_with("https://") || open(body, ".*").0 {
        true => "",
        false => ".*",
    };
    let back = if ends || open(body, ".*").1 { "" } else { ".*" };
    Some(Pattern::Regex(format!("{front}{body}{back}")))
}

/// Whether a body begins and ends with what takes up everything there is.
fn open(body: &str, any: &str) -> (bool, bool) {
    let ends = body.strip_suffix(any).or_else(|| body.strip_suffix(".+"));
    let begins = body.starts_with(any) || body.starts_with(".+");
    // `.*?` and `.+x` are no open ends.
    (
        begins && !body.starts_with(".*?") && !body.starts_with(".+?"),
        ends.is_some_and(|body| !ends_escaping(body)),
    )
}

/// Whether what follows would be escaped.
fn ends_escaping(text: &str) -> bool {
    text.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1
}

/// A pattern without any meaning but its own text.
fn literal(body: &str) -> Option<String> {
    let mut text = String::new();
    let mut chars = body.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.push(chars.next().filter(|c| !c.is_ascii_alphanumeric())?),
            '.' | '*' | '+' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '|' | '^' | '$' => return None,
            c => text.push(c),
        }
    }
    (!text.is_empty()).then_some(text)
}

/// Whether a pattern is a choice outside of any group, so that an anchor is about one side of it.
fn has_choice(pattern: &str) -> bool {
    let (mut depth, mut class, mut escaped) = (0_usize, false, false);
    for c in pattern.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => class = true,
            ']' => class = false,
            '(' if !class => depth += 1,
            ')' if !class => depth = depth.saturating_sub(1),
            '|' if !class && depth == 0 => return true,
            _ => {}
        }
    }
    false
}

/// The same pattern for the engine here, in which `\d`, `\w`, `\s` are wider and classes have operators.
pub(super) fn translated(pattern: &str) -> Option<String> {
    let mut made = String::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => made.push_str(&escape(chars.next()?)?),
            '[' => class(&mut chars, &mut made)?,
            '(' => {
                made.push('(');
                if chars.next_if_eq(&'?').is_some() {
                    made.push('?');
                    flags(&mut chars, &mut made)?;
                }
            }
            c => made.push(c),
        }
    }
    Some(made)
}

fn escape(c: char) -> Option<String> {
    Some(match c {
        'd' => "[0-9]".to_owned(),
        'D' => "[^0-9]".to_owned(),
        'w' => "[0-9A-Za-z_]".to_owned(),
        'W' => "[^0-9A-Za-z_]".to_owned(),
        's' => r"[\t\n\f\r ]".to_owned(),
        'S' => r"[^\t\n\f\r ]".to_owned(),
        'b' => r"(?-u:\b)".to_owned(),
        'A' | 'z' | 'a' | 'f' | 'n' | 'r' | 't' | 'v' | 'x' | 'p' | 'P' => format!("\\{c}"),
        c if c.is_ascii_alphanumeric() || !c.is_ascii_graphic() => return None,
        c => format!("\\{c}"),
    })
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn class(chars: &mut Chars<'_>, made: &mut String) -> Option<()> {
    made.push('[');
    if chars.next_if_eq(&'^').is_some() {
        made.push('^');
    }
    let mut first = true;
    loop {
        let c = chars.next()?;
        match c {
            ']' if !first => {
                made.push(']');
                return Some(());
            }
            ']' => made.push_str("\\]"),
            '[' if chars.peek() == Some(&':') => {
                made.push('[');
                loop {
                    let c = chars.next()?;
                    made.push(c);
                    if c == ']' {
                        break;
                    }
                }
            }
            '[' | '&' | '~' => {
                made.push('\\');
                made.push(c);
            }
            '-' if chars.peek() == Some(&'-') => return None,
            '\\' => made.push_str(&match chars.next()? {
                'd' => "0-9".to_owned(),
                'w' => "0-9A-Za-z_".to_owned(),
                's' => r"\t\n\f\r ".to_owned(),
                c => escape(c).filter(|text| text.starts_with('\\'))?,
            }),
            c => made.push(c),
        }
        first = false;
    }
}

/// What stands behind `(?`: flags of both engines, or a group with a name or without.
fn flags(chars: &mut Chars<'_>, made: &mut String) -> Option<()> {
    loop {
        let c = chars.next()?;
        made.push(c);
        match c {
            'i' | 'm' | 's' | 'U' | '-' => {}
            'P' | '<' => return (chars.peek() != Some(&'=') && chars.peek() != Some(&'!')).then_some(()),
            ':' | ')' => return Some(()),
            _ => return None,
        }
    }
}

/// A text in which `*` stands for any characters and `?` for one.
pub(super) fn wildcards(text: &str) -> Pattern {
    if !text.contains(['*', '?']) {
        return Pattern::Exact(text.to_owned());
    }
    let mut regex = String::new();
    for c in text.chars() {
        match c {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            '.' | '+' | '(' | ')' | '[' | ']' | '{' | '}' | '|' | '^' | '$' | '\\' | '#' | '&' | '-'
            | '~' => {
                // A hyphen means nothing outside of a class.
                if c != '-' && c != '#' && c != '&' && c != '~' {
                    regex.push('\\');
                }
                regex.push(c);
            }
            c => regex.push(c),
        }
    }
    Pattern::Regex(regex)
}

#[cfg(test)]
mod tests {
    use pullgate_policy::identity::WholeRegex;

    use super::*;

    fn meets(pattern: &Pattern, text: &str) -> bool {
        match pattern {
            Pattern::Exact(exact) => exact == text,
            Pattern::Regex(regex) => WholeRegex::new(regex).unwrap().matches(text),
        }
    }

    #[test]
    fn a_pattern_that_is_searched_for_becomes_one_over_the_whole() {
        for (pattern, expected) in [
            (r"^https://a\.b/c$", "=https://a.b/c"),
            (r"^https://a\.b/c", r"https://a\.b/c.*"),
            (r"https://a\.b/.*", r"https://a\.b/.*"),
            (r"https://a\.b/.+", r"https://a\.b/.+"),
            (r"a\.b$", r".*a\.b"),
            (r".*kubernetes.default.*", ".*kubernetes.default.*"),
            ("^a|b$", ".*(?:^a|b$).*"),
            (r"^(a|b)\$", r"(a|b)\$.*"),
            (r"a\d[\d_]", r".*a[0-9][0-9_].*"),
            ("[a&&b]", r".*[a\&\&b].*"),
            ("[a[b]", r".*[a\[b].*"),
            ("[]a]", r".*[\]a].*"),
            ("[[:alpha:]]+", ".*[[:alpha:]]+.*"),
        ] {
            let found = match searched(pattern).unwrap() {
                Pattern::Exact(text) => format!("={text}"),
                Pattern::Regex(regex) => regex,
            };
            assert_eq!(found, expected, "{pattern}");
        }
    }

    #[test]
    fn what_two_engines_read_differently_is_none() {
        for pattern in
            [r"\Qa\E", r"\C", r"(?x)a # b", "(?u)a", "[a--b]", r"[\D]", r"\1", "(?=a)", "(?<!a)", "[a", r"a\"]
        {
            assert_eq!(searched(pattern), None, "{pattern}");
        }
        // An Arabic digit is no digit there.
        let digits = searched(r"^a\d$").unwrap();
        assert!(meets(&digits, "a7") && !meets(&digits, "a\u{667}"));
    }

    #[test]
    fn an_anchor_of_one_side_of_a_choice_is_about_that_side() {
        let pattern = searched("^a|b$").unwrap();
        for (text, expected) in [("ax", true), ("xb", true), ("b", true), ("xax", false), ("bx", false)] {
            assert_eq!(meets(&pattern, text), expected, "{text}");
        }
    }

    #[test]
    fn wildcards_stand_for_any_characters_and_nothing_else_does() {
        assert_eq!(wildcards("a.b"), Pattern::Exact("a.b".to_owned()));
        let pattern = wildcards("https://a.b/c-(d)/*@refs/tags/v?");
        assert!(meets(&pattern, "https://a.b/c-(d)/x/y@refs/tags/v1"));
        assert!(!meets(&pattern, "https://aXb/c-(d)/x@refs/tags/v1"));
        assert!(!meets(&pattern, "https://a.b/c-(d)/x@refs/tags/v12"));
    }
}
