//! Figures with their spread.

/// One server's figures of one row, a value for each round.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures {
    /// The server.
    pub(crate) name: String,
    /// Name of the figure and its values.
    pub(crate) columns: Vec<(&'static str, Vec<f64>)>,
}

/// Prints a row: each server, each figure with its spread and its ratio to the first one that is called `yardstick`.
pub(crate) fn print(title: &str, all: &[Figures], yardstick: &str) {
    println!("\n{title}");
    for one in all {
        let mut line = format!("  {:<28}", one.name);
        for (n, (name, values)) in one.columns.iter().enumerate() {
            let (median, least, most) = spread(values);
            line.push_str(&format!("  {name} {} ({}, {})", short(median), short(least), short(most)));
            let by = all.iter().find(|other| other.name.starts_with(yardstick));
            let by = by.filter(|other| other.name != one.name);
            if let Some((_, others)) = by.and_then(|other| other.columns.get(n)) {
                let ratios: Vec<f64> = values.iter().zip(others).map(|(one, other)| one / other).collect();
                line.push_str(&format!(" = {:.2} of {yardstick}", spread(&ratios).0));
            }
        }
        println!("{line}");
    }
}

/// Median, least and most.
pub(crate) fn spread(values: &[f64]) -> (f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    (at(sorted.len() / 2), at(0), at(sorted.len().saturating_sub(1)))
}

fn short(value: f64) -> String {
    if value >= 1000.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.3}")
    }
}
