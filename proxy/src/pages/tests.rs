use std::collections::BTreeMap;

use super::SHEET;

/// The colours of one look, by name.
fn colours(block: &str) -> BTreeMap<String, [u8; 3]> {
    let declared =
        block.split(['{', ';', '}']).filter_map(|part| part.trim().strip_prefix("--")?.split_once(':'));
    let channel = |hex: &str, at: usize| u8::from_str_radix(hex.get(at..at + 2).unwrap(), 16).unwrap();
    declared
        .filter_map(|(name, value)| {
            let hex = value.trim().strip_prefix('#')?;
            let hex =
                if hex.len() == 3 { hex.chars().flat_map(|c| [c, c]).collect() } else { hex.to_owned() };
            Some((name.to_owned(), [channel(&hex, 0), channel(&hex, 2), channel(&hex, 4)]))
        })
        .collect()
}

/// WCAG 2.2, "relative luminance".
fn luminance(colour: [u8; 3]) -> f64 {
    let [red, green, blue] = colour.map(|channel| {
        let part = f64::from(channel) / 255.0;
        if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    });
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

fn contrast(a: [u8; 3], b: [u8; 3]) -> f64 {
    let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
    if a > b { a / b } else { b / a }
}

#[test]
fn words_can_be_read_on_their_ground_by_day_and_by_night() {
    let (day, night) = SHEET.split_once("prefers-color-scheme: dark").unwrap();
    let day = colours(day);
    let night = colours(night.split("\n}\n").next().unwrap());
    assert_eq!(day.keys().collect::<Vec<_>>(), night.keys().collect::<Vec<_>>(), "each colour has both");
    for look in [&day, &night] {
        for word in ["ink", "dim", "link", "permit", "warn", "deny", "odd"] {
            for ground in ["paper", "sheet"] {
                let contrast = contrast(look[word], look[ground]);
                // WCAG 2.2, 1.4.3 (AA).
                assert!(contrast >= 4.5, "{word} on {ground}: {contrast:.2}");
            }
        }
        // The button.
        assert!(contrast(look["paper"], look["link"]) >= 4.5);
    }
}
