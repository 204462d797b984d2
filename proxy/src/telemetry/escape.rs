//! Log lines that nothing from outside can break, colour or turn around (A521).

use std::fmt::Write as _;
use std::io;

use pullgate_policy::text;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{self, FormatFields};

/// The fields of a text line: every value escaped and cut, so that the only controls in a line are our own colours.
pub(super) fn fields() -> impl for<'w> FormatFields<'w> + Send + Sync + 'static {
    format::debug_fn(
        |writer: &mut format::Writer<'_>, field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            let value = text::escape(&format!("{value:?}"));
            match field.name() {
                "message" => write!(writer, "{value}"),
                name => write!(writer, "{name}={value}"),
            }
        },
    )
    .delimited(" ")
}

/// JSON lines: what JSON itself leaves as it is (bidirectional marks, C1) is escaped too.
#[derive(Debug)]
pub(super) struct Lines<W>(pub(super) W);

/// A line on its way.
#[derive(Debug)]
pub(super) struct Line<W>(W);

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for Lines<W> {
    type Writer = Line<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Line(self.0.make_writer())
    }
}

impl<W: io::Write> io::Write for Line<W> {
    /// Takes a whole line, as the formatter gives it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write_all(json(&String::from_utf8_lossy(line)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn json(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    for c in line.chars() {
        if c != '\n' && text::is_unsafe(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string does not fail.
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a521_what_json_leaves_is_escaped_as_json() {
        let line = json("{\"a\":\"\u{202e}\u{85}é\"}\n");
        assert_eq!(line, "{\"a\":\"\\u202e\\u0085é\"}\n");
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["a"], "\u{202e}\u{85}é");
    }
}
