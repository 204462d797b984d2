//! The form that CI systems read: one suite, one case for each expectation.

use std::fmt::Write as _;

use super::report::{Outcome, Report};

/// The report as JUnit XML.
pub(super) fn render(report: &Report, suite: &str) -> String {
    let (tests, failures, errors) = (report.expectations.len(), report.otherwise, report.unknown);
    let name = escaped(suite);
    let mut shown = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"{name}\" tests=\"{tests}\" \
         failures=\"{failures}\" errors=\"{errors}\">\n"
    );
    for one in &report.expectations {
        let (image, place, line) = (escaped(&one.image), escaped(&one.location), escaped(&one.line()));
        let _ = write!(shown, "    <testcase classname=\"{place}\" name=\"{image} {}\"", one.expected);
        let _ = match one.outcome {
            Outcome::AsExpected => writeln!(shown, "/>"),
            Outcome::Otherwise => writeln!(shown, "><failure message=\"{line}\"/></testcase>"),
            Outcome::Unknown => writeln!(shown, "><error message=\"{line}\"/></testcase>"),
        };
    }
    shown.push_str("  </testsuite>\n</testsuites>\n");
    shown
}

/// A text as the value of an attribute; what XML 1.0 has no character for is left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_an_image_stays_a_text() {
        assert_eq!(escaped("<a b=\"&\">\u{0}\u{1b}\n"), "&lt;a b=&quot;&amp;&quot;&gt;");
    }
}
