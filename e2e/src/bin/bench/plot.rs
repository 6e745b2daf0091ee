//! Plots as SVG: lines over sizes on logarithmic axes, and bars. Without a library, for only two shapes.

use std::fmt::Write as _;

/// A plot for the documentation.
#[derive(Debug)]
pub(crate) struct Plot {
    /// The file name without extension.
    pub(crate) name: &'static str,
    pub(crate) title: String,
    pub(crate) shape: Shape,
}

#[derive(Debug)]
pub(crate) enum Shape {
    /// Named lines of points whose coordinates are positive.
    Lines { x: Axis, y: Axis, lines: Vec<(String, Vec<(f64, f64)>)> },
    /// Named groups with one value for each of `series`.
    Bars { unit: &'static str, series: Vec<&'static str>, groups: Vec<(String, Vec<f64>)> },
}

/// A logarithmic axis with its label and marks.
#[derive(Debug)]
pub(crate) struct Axis {
    pub(crate) label: &'static str,
    pub(crate) marks: Vec<(f64, String)>,
}

const WIDTH: f64 = 800.0;
const LEFT: f64 = 70.0;
const TOP: f64 = 40.0;
/// Height of the area with the lines.
const HEIGHT: f64 = 320.0;
/// Right edge of that area, where the legend starts.
const RIGHT: f64 = 560.0;

/// A palette for all kinds of colour vision (Okabe and Ito); Quiver has the first colour.
const COLOURS: [&str; 8] =
    ["#d55e00", "#0072b2", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#999999"];

impl Plot {
    pub(crate) fn svg(&self) -> String {
        match &self.shape {
            Shape::Lines { x, y, lines } => self.lines(x, y, lines),
            Shape::Bars { unit, series, groups } => self.bars(unit, series, groups),
        }
    }

    fn page(&self, height: f64, content: &str) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             font-family=\"sans-serif\" font-size=\"13\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
             <text x=\"{LEFT}\" y=\"24\" font-size=\"16\">{}</text>\n{content}</svg>\n",
            escape(&self.title)
        )
    }

    fn lines(&self, x: &Axis, y: &Axis, lines: &[(String, Vec<(f64, f64)>)]) -> String {
        let x_of = |value: f64| LEFT + (RIGHT - LEFT) * x.position(value);
        let y_of = |value: f64| TOP + HEIGHT * (1.0 - y.position(value));
        let bottom = TOP + HEIGHT;
        let mut content = String::new();
        for (value, label) in &x.marks {
            let x = x_of(*value);
            content.push_str(&line((x, TOP), (x, bottom)));
            content.push_str(&text(x, bottom + 18.0, "middle", label));
        }
        for (value, label) in &y.marks {
            let y = y_of(*value);
            content.push_str(&line((LEFT, y), (RIGHT, y)));
            content.push_str(&text(LEFT - 6.0, y + 4.0, "end", label));
        }
        content.push_str(&text((LEFT + RIGHT) / 2.0, bottom + 38.0, "middle", x.label));
        content.push_str(&text(LEFT, TOP - 4.0, "end", y.label));
        // Drawn in reverse, so that the first line, Quiver's, is on top.
        for (index, (name, points)) in lines.iter().enumerate().rev() {
            let colour = COLOURS[index % COLOURS.len()];
            let width = if index == 0 { 3.5 } else { 1.8 };
            let points: Vec<String> =
                points.iter().map(|(x, y)| format!("{:.1},{:.1}", x_of(*x), y_of(*y))).collect();
            let _ = writeln!(
                content,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"/>",
                points.join(" ")
            );
            let row = TOP + 12.0 + 22.0 * index as f64;
            let _ = writeln!(
                content,
                "<rect x=\"{}\" y=\"{}\" width=\"18\" height=\"4\" fill=\"{colour}\"/>",
                RIGHT + 14.0,
                row - 6.0
            );
            content.push_str(&text(RIGHT + 38.0, row, "start", name));
        }
        self.page(bottom + 52.0, &content)
    }

    fn bars(&self, unit: &str, series: &[&str], groups: &[(String, Vec<f64>)]) -> String {
        const BAR: f64 = 18.0;
        const NAMES: f64 = 200.0;
        let most = groups.iter().flat_map(|(_, values)| values).fold(0.0_f64, |a, b| a.max(*b));
        let mut content = String::new();
        let mut y = TOP;
        for (group, values) in groups {
            let middle = y + BAR * values.len() as f64 / 2.0 + 5.0;
            content.push_str(&text(NAMES - 8.0, middle, "end", group));
            for (index, value) in values.iter().enumerate() {
                let length = (WIDTH - NAMES - 170.0) * value / most.max(f64::MIN_POSITIVE);
                let colour = COLOURS[index % COLOURS.len()];
                let _ = writeln!(
                    content,
                    "<rect x=\"{NAMES}\" y=\"{y:.1}\" width=\"{length:.1}\" height=\"{}\" fill=\"{colour}\"/>",
                    BAR - 3.0
                );
                let what = series.get(index).copied().unwrap_or_default();
                let label = format!("{} {unit} {what}", crate::figure::format_figure(*value));
                content.push_str(&text(NAMES + length + 6.0, y + 12.0, "start", label.trim_end()));
                y += BAR;
            }
            y += 10.0;
        }
        self.page(y + 10.0, &content)
    }
}

impl Axis {
    /// The position of a value between the first mark and the last, 0 to 1.
    fn position(&self, value: f64) -> f64 {
        let ends = self.marks.first().zip(self.marks.last());
        let (first, last) = ends.map_or((1.0, 10.0), |(first, last)| (first.0, last.0));
        (value.ln() - first.ln()) / (last.ln() - first.ln())
    }

    /// An axis with marks at the powers of ten around some values.
    pub(crate) fn decades(label: &'static str, values: impl Iterator<Item = f64> + Clone) -> Self {
        let least = values.clone().fold(f64::INFINITY, f64::min).log10().floor() as i32;
        let most = values.fold(0.0, f64::max).log10().ceil() as i32;
        let mark = |power: i32| (10_f64.powi(power), format!("{}", 10_f64.powi(power)));
        Self { label, marks: (least..=most.max(least + 1)).map(mark).collect() }
    }
}

fn line(from: (f64, f64), to: (f64, f64)) -> String {
    format!(
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"#dddddd\"/>\n",
        from.0, from.1, to.0, to.1
    )
}

fn text(x: f64, y: f64, anchor: &str, text: &str) -> String {
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>\n", escape(text))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
