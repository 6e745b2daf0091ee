//! Pictures of a terminal's screen: rows of styled text as SVG. Knows no program.

use std::fmt::Write as _;

/// Pixels of a character of the monospaced font, which is 14 pixels high.
const CHARACTER: f64 = 8.43;
const ROW: f64 = 19.0;
/// Pixels between the text and the window's edge.
const MARGIN: f64 = 16.0;
/// The bar with the window's buttons.
const BAR: f64 = 34.0;

const TEXT: &str = "#dfe6ee";

/// The colours of a terminal by their numbers, from black to white.
const PALETTE: [&str; 8] =
    ["#5c6773", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", TEXT];

/// Text in one style.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StyledText {
    /// The text.
    pub text: String,
    /// The number of its colour, from 0 to 7; `None` is the usual one.
    pub colour: Option<u8>,
    /// Whether it is bold.
    pub is_bold: bool,
}

impl StyledText {
    /// Text in the usual style.
    #[must_use]
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), colour: None, is_bold: false }
    }
}

/// The picture of rows in a window of `columns`.
#[must_use]
pub fn draw(rows: &[Vec<StyledText>], columns: u16) -> String {
    let width = 2.0f64.mul_add(MARGIN, CHARACTER * f64::from(columns)).ceil();
    let height = 2.0f64.mul_add(MARGIN, ROW.mul_add(rows.len() as f64, BAR) - ROW / 2.0).ceil();
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
    for (number, row) in rows.iter().enumerate() {
        let y = ROW.mul_add(number as f64, BAR + MARGIN);
        let spans: String = row.iter().map(span).collect();
        let _ = writeln!(
            svg,
            "<text x=\"{MARGIN}\" y=\"{y}\" xml:space=\"preserve\" fill=\"{TEXT}\">{spans}</text>"
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn span(part: &StyledText) -> String {
    let text = part.text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let colour = part.colour.and_then(|colour| PALETTE.get(usize::from(colour)));
    let fill = colour.map_or_else(String::new, |colour| format!(" fill=\"{colour}\""));
    let weight = if part.is_bold { " font-weight=\"bold\"" } else { "" };
    if fill.is_empty() && weight.is_empty() {
        return text;
    }
    format!("<tspan{fill}{weight}>{text}</tspan>")
}

/// The rows of text in a picture that [`draw`] has made.
#[must_use]
pub fn rows_of(svg: &str) -> Vec<String> {
    let rows = svg
        .lines()
        .filter_map(|line| line.strip_prefix("<text ")?.strip_suffix("</text>")?.split_once('>'));
    rows.map(|(_, row)| without_tags(row)).collect()
}

fn without_tags(row: &str) -> String {
    let pieces = row.split('<').enumerate().map(|(number, piece)| {
        if number == 0 { piece } else { piece.split_once('>').map_or("", |(_, text)| text) }
    });
    let text: String = pieces.collect();
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_the_rows_with_their_styles() {
        let error = StyledText { text: "error:".to_owned(), colour: Some(1), is_bold: true };
        let rows = [vec![error, StyledText::plain(" a < b & c")], Vec::new()];
        let svg = draw(&rows, 40);
        let bold = "<tspan fill=\"#e06c75\" font-weight=\"bold\">error:</tspan> a &lt; b &amp; c";
        assert!(svg.contains(bold), "{svg}");
        assert_eq!(rows_of(&svg), ["error: a < b & c", ""]);
    }
}
