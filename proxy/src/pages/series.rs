//! The numbers of `/metrics`, as pages show them.

use std::collections::BTreeMap;

/// One sample.
#[derive(Debug, PartialEq)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// All samples of this moment.
#[derive(Debug)]
pub(super) struct Series(Vec<Sample>);

impl Series {
    /// Reads what a scraper reads; a line that is none is left out.
    pub(super) fn read(text: &str) -> Self {
        Self(text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect())
    }

    /// The sum of a metric's samples that have this label.
    pub(super) fn sum(&self, name: &str, (label, value): (&str, &str)) -> f64 {
        let has = |sample: &&Sample| sample.labels.get(label).is_some_and(|is| is == value);
        self.of(name).filter(has).map(|sample| sample.value).sum()
    }

    /// A metric that has no labels.
    pub(super) fn one(&self, name: &str) -> Option<f64> {
        self.of(name).map(|sample| sample.value).next()
    }

    /// The labels of a metric's samples, with their values.
    pub(super) fn each(&self, name: &str) -> impl Iterator<Item = (&BTreeMap<String, String>, f64)> {
        self.of(name).map(|sample| (&sample.labels, sample.value))
    }

    fn of(&self, name: &str) -> impl Iterator<Item = &Sample> {
        self.0.iter().filter(move |sample| sample.name == name)
    }
}

/// `NAME{LABEL="VALUE",…} NUMBER` (OpenMetrics, "Text Format").
fn sample(line: &str) -> Option<Sample> {
    let (before, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let (name, mut rest) = match before.split_once('{') {
        Some((name, rest)) => (name, rest.strip_suffix('}')?),
        None => (before, ""),
    };
    let mut labels = BTreeMap::new();
    while let Some((label, text)) = rest.split_once("=\"") {
        let (mut said, mut end, mut escaped) = (String::new(), text.len(), false);
        for (at, c) in text.char_indices() {
            match c {
                _ if escaped => {
                    said.push(if c == 'n' { '\n' } else { c });
                    escaped = false;
                }
                '\\' => escaped = true,
                '"' => {
                    end = at + 1;
                    break;
                }
                c => said.push(c),
            }
        }
        labels.insert(label.trim_start_matches(',').to_owned(), said);
        rest = text.get(end..).unwrap_or_default();
    }
    Some(Sample { name: name.to_owned(), labels, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_as_a_scraper_reads_them() {
        let text = "# TYPE a counter\na_total{x=\"1\",y=\"b\\\"c,\"} 3\na_total{x=\"2\",y=\"\"} 4\nb 0.5\nnonsense\n";
        let series = Series::read(text);
        assert_eq!((series.sum("a_total", ("x", "1")), series.sum("a_total", ("x", "3"))), (3.0, 0.0));
        assert_eq!((series.one("b"), series.one("c")), (Some(0.5), None));
        let labels: Vec<_> = series.each("a_total").map(|(labels, _)| labels["y"].clone()).collect();
        assert_eq!(labels, ["b\"c,", ""]);
    }
}
