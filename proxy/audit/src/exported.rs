//! Lines of an export, whoever wrote it: each is read within its limit, and what is no line of ours is told apart.

use std::io::{self, BufRead};

use crate::limits::LOG_LINE_BYTES;

/// The lines of an export, without their ends.
#[derive(Debug)]
pub struct Exported<R>(R);

impl<R: BufRead> Exported<R> {
    /// Begins to read.
    pub const fn new(from: R) -> Self {
        Self(from)
    }

    fn next_line(&mut self) -> io::Result<Option<Option<String>>> {
        let mut line = Vec::new();
        // One byte more tells of a line that is too long.
        let most = u64::try_from(LOG_LINE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
        if io::Read::take(&mut self.0, most).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if line.len() > LOG_LINE_BYTES {
            self.pass_over()?;
            return Ok(Some(None));
        }
        Ok(Some(String::from_utf8(line).ok()))
    }

    /// The rest of a line, of which nothing is kept.
    fn pass_over(&mut self) -> io::Result<()> {
        loop {
            let read = self.0.fill_buf()?;
            let (length, ends) = match read.iter().position(|byte| *byte == b'\n') {
                Some(end) => (end.saturating_add(1), true),
                None => (read.len(), read.is_empty()),
            };
            self.0.consume(length);
            if ends {
                return Ok(());
            }
        }
    }
}

/// Each line; none in place of one that is too long, or is no text.
impl<R: BufRead> Iterator for Exported<R> {
    type Item = io::Result<Option<String>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_line().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Vec<Option<usize>> {
        let lines = Exported::new(bytes).map(|line| line.unwrap().map(|line| line.len()));
        lines.collect()
    }

    #[test]
    fn a_line_over_its_limit_is_none_and_the_next_one_is_read() {
        let of = |length: usize| vec![b'x'; length];
        let longest = LOG_LINE_BYTES;
        assert_eq!(read(&[of(longest), b"\nab\n".to_vec()].concat()), [Some(longest), Some(2)]);
        assert_eq!(read(&[of(longest + 1), b"\nab\n".to_vec()].concat()), [None, Some(2)]);
        assert_eq!(read(&[of(3 * longest), b"\nab".to_vec()].concat()), [None, Some(2)]);
        assert_eq!(read(&of(longest + 1)), [None]);
        assert_eq!(read(b"\n\xff\xfe\na\n"), [Some(0), None, Some(1)]);
        assert!(read(b"").is_empty());
    }
}
