//! Records text that comes as a terminal shows it: standard input becomes an animated SVG on standard output. Knows nothing of Quiver.

#![expect(clippy::print_stdout, reason = "the picture is what it prints")]
#![expect(clippy::expect_used, reason = "a picture that cannot be drawn ends the program")]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// Pixels of a character of the monospaced font, which is 14 pixels high.
const CHARACTER: f64 = 8.43;
const ROW: f64 = 19.0;
/// Pixels between the text and the window's edge.
const MARGIN: f64 = 16.0;
/// The bar with the window's buttons.
const BAR: f64 = 34.0;
/// Longer rows are cut, so that the text stays readable where the picture is small.
const COLUMNS: usize = 100;
/// Rows that the window shows at once. Earlier ones scroll out of it.
const WINDOW_ROWS: usize = 24;

/// A row follows the one before it after the recorded time, but within these bounds, so that people can read along.
const PAUSES: std::ops::RangeInclusive<f64> = 0.25..=2.0;

/// A row, and the time until it came after the row before it.
#[derive(Debug, PartialEq)]
struct RecordedRow {
    text: String,
    pause: Duration,
}

fn main() {
    let mut before = Instant::now();
    let rows: Vec<RecordedRow> = std::io::stdin()
        .lines()
        .map(|line| {
            let pause = before.elapsed();
            before += pause;
            RecordedRow { text: cut(&line.expect("the text is read and is UTF-8")), pause }
        })
        .collect();
    print!("{}", draw(trim(&rows)));
}

/// The rows without empty ones at both ends.
fn trim(rows: &[RecordedRow]) -> &[RecordedRow] {
    let is_text = |row: &RecordedRow| !row.text.is_empty();
    let first = rows.iter().position(is_text).unwrap_or(rows.len());
    let end = rows.iter().rposition(is_text).map_or(first, |last| last + 1);
    &rows[first..end]
}

/// The picture of rows of terminal output, beside paragraphs that explain it. Readers who want no motion see the end.
fn draw(rows: &[RecordedRow]) -> String {
    let widest = rows.iter().map(|row| row.text.chars().count()).max().unwrap_or(0);
    let width = 2.0f64.mul_add(MARGIN, CHARACTER * widest as f64).ceil();
    let shown = rows.len().min(WINDOW_ROWS);
    let height = 2.0f64.mul_add(MARGIN, ROW.mul_add(shown as f64, BAR)).ceil();
    let mut seconds = 0.0;
    let times: Vec<f64> = rows
        .iter()
        .map(|row| {
            seconds += row.pause.as_secs_f64().clamp(*PAUSES.start(), *PAUSES.end());
            seconds
        })
        .collect();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" \
         font-size=\"14\">\n\
         <style>\n{}</style>\n\
         <clipPath id=\"window\"><rect y=\"{BAR}\" width=\"{width}\" height=\"{}\"/></clipPath>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#1d2430\"/>\n",
        style(&times),
        height - BAR - MARGIN / 2.0
    );
    for (number, colour) in ["#e06c75", "#e5c07b", "#98c379"].iter().enumerate() {
        let x = 20.0f64.mul_add(number as f64, 22.0);
        let _ = writeln!(svg, "<circle cx=\"{x}\" cy=\"20\" r=\"6\" fill=\"{colour}\"/>");
    }
    svg.push_str("<g clip-path=\"url(#window)\"><g class=\"text\">\n");
    for (number, (row, time)) in rows.iter().zip(&times).enumerate() {
        if row.text.is_empty() {
            continue;
        }
        let is_blank = |at: Option<usize>| {
            at.and_then(|at| rows.get(at)).is_none_or(|row| row.text.is_empty())
        };
        let is_paragraph = is_blank(number.checked_sub(1)) && is_blank(Some(number + 1));
        let y = ROW.mul_add(number as f64, BAR + MARGIN);
        let _ = writeln!(
            svg,
            "<text x=\"{MARGIN}\" y=\"{y}\" xml:space=\"preserve\" fill=\"{}\" style=\"animation-delay:{time:.2}s\">{}</text>",
            colour(&row.text, is_paragraph),
            escape(&row.text)
        );
    }
    svg.push_str("</g></g>\n</svg>\n");
    svg
}

/// Shows each row at its time, and scrolls when the window is full.
fn style(times: &[f64]) -> String {
    let scrolled = times.len().saturating_sub(WINDOW_ROWS);
    let total = times.last().copied().unwrap_or(1.0);
    let offset = |rows: usize| format!("transform:translateY({}px)", -ROW * rows as f64);
    let mut style = format!(
        "text{{animation:row .01s backwards}}\n@keyframes row{{from{{opacity:0}}}}\n.text{{{}}}\n",
        offset(scrolled)
    );
    if scrolled > 0 {
        let _ = writeln!(style, ".text{{animation:scroll {total:.2}s step-end backwards}}");
        let _ = write!(style, "@keyframes scroll{{from{{{}}}", offset(0));
        for (rows, time) in times.iter().skip(WINDOW_ROWS).enumerate() {
            let _ = write!(style, " {:.2}%{{{}}}", 100.0 * time / total, offset(rows + 1));
        }
        style.push_str("}\n");
    }
    style.push_str("@media (prefers-reduced-motion:reduce){text,.text{animation:none}}\n");
    style
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

    fn recorded(rows: &[&str]) -> Vec<RecordedRow> {
        let row =
            |text: &&str| RecordedRow { text: (*text).to_owned(), pause: Duration::from_secs(1) };
        rows.iter().map(row).collect()
    }

    #[test]
    fn every_row_is_drawn_at_its_time_and_markup_is_escaped() {
        let svg = draw(&recorded(&["$ quiver", "Ron: a < b & c"]));
        assert!(svg.contains("animation-delay:1.00s\">$ quiver</text>"), "{svg}");
        assert!(svg.contains("animation-delay:2.00s\">Ron: a &lt; b &amp; c</text>"), "{svg}");
        assert_eq!(svg.matches("<text ").count(), 2, "{svg}");
        assert!(!svg.contains("@keyframes scroll"), "{svg}");
    }

    #[test]
    fn rows_that_the_window_cannot_show_scroll_out_of_it() {
        let svg = draw(&recorded(&["x"; WINDOW_ROWS + 2]));
        assert!(svg.contains(".text{transform:translateY(-38px)}"), "{svg}");
        assert!(svg.contains("100.00%{transform:translateY(-38px)}"), "{svg}");
    }

    #[test]
    fn empty_rows_at_both_ends_are_left_out() {
        assert_eq!(trim(&recorded(&["", "a", "", "b", ""])), &recorded(&["a", "", "b"]));
        assert_eq!(trim(&recorded(&[""])), &[]);
    }

    #[test]
    fn a_long_row_is_cut() {
        assert_eq!(cut(&"x".repeat(100)), "x".repeat(100));
        assert_eq!(cut(&"x".repeat(101)), "x".repeat(99) + "…");
    }
}
