//! Draws text as a terminal: standard input becomes an SVG on standard output. Knows nothing of Quiver.

#![expect(clippy::print_stdout, reason = "the picture is what it prints")]
#![expect(clippy::expect_used, reason = "a picture that cannot be drawn ends the program")]

use std::fmt::Write as _;
use std::io::Read as _;

/// Pixels of a character of the monospaced font, which is 14 pixels high.
const CHARACTER: f64 = 8.43;
const ROW: f64 = 19.0;
/// Pixels between the text and the window's edge.
const MARGIN: f64 = 16.0;
/// The bar with the window's buttons.
const BAR: f64 = 34.0;
/// Longer rows are cut, so that the text stays readable where the picture is small.
const COLUMNS: usize = 100;

fn main() {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).expect("the text is read and is UTF-8");
    print!("{}", draw(&text));
}

/// The picture of a text whose rows are terminal output, beside paragraphs that explain it.
fn draw(text: &str) -> String {
    let rows: Vec<String> = text.trim().lines().map(cut).collect();
    let widest = rows.iter().map(|row| row.chars().count()).max().unwrap_or(0);
    let width = 2.0f64.mul_add(MARGIN, CHARACTER * widest as f64).ceil();
    let height = 2.0f64.mul_add(MARGIN, ROW.mul_add(rows.len() as f64, BAR)).ceil();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" \
         font-size=\"14\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#1d2430\"/>\n"
    );
    for (number, colour) in ["#e06c75", "#e5c07b", "#98c379"].iter().enumerate() {
        let x = 20.0f64.mul_add(number as f64, 22.0);
        let _ = writeln!(svg, "<circle cx=\"{x}\" cy=\"20\" r=\"6\" fill=\"{colour}\"/>");
    }
    for (number, row) in rows.iter().enumerate().filter(|(_, row)| !row.is_empty()) {
        let is_blank =
            |at: Option<usize>| at.and_then(|at| rows.get(at)).is_none_or(String::is_empty);
        let is_paragraph = is_blank(number.checked_sub(1)) && is_blank(Some(number + 1));
        let y = ROW.mul_add(number as f64, BAR + MARGIN);
        let _ = writeln!(
            svg,
            "<text x=\"{MARGIN}\" y=\"{y}\" xml:space=\"preserve\" fill=\"{}\">{}</text>",
            colour(row, is_paragraph),
            escape(row)
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn cut(row: &str) -> String {
    let row = row.trim_end();
    if row.chars().count() <= COLUMNS {
        return row.to_owned();
    }
    let mut kept: String = row.chars().take(COLUMNS - 1).collect();
    kept.push('…');
    kept
}

/// Explanations (paragraphs of one row), typed lines, log lines and other output have a colour each.
fn colour(row: &str, is_paragraph: bool) -> &'static str {
    let is_typed = row.split_once(": ").is_some_and(|(name, _)| {
        name != "Server" && name.chars().all(|character| character.is_ascii_alphabetic())
    });
    if is_paragraph {
        "#e5c07b"
    } else if row.starts_with(|first: char| first.is_ascii_digit()) {
        "#8b98a9"
    } else if is_typed || row.starts_with("$ ") {
        "#98c379"
    } else {
        "#dfe6ee"
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_drawn_and_markup_is_escaped() {
        let svg = draw("$ quiver\nRon: a < b & c\n\n");
        assert!(svg.contains(">$ quiver</text>"), "{svg}");
        assert!(svg.contains(">Ron: a &lt; b &amp; c</text>"), "{svg}");
        assert_eq!(svg.matches("<text ").count(), 2, "{svg}");
    }

    #[test]
    fn a_long_row_is_cut() {
        assert_eq!(cut(&"x".repeat(100)), "x".repeat(100));
        assert_eq!(cut(&"x".repeat(101)), "x".repeat(99) + "…");
    }
}
