//! Results as tables, goals and plots, for the terminal and for the documentation.

use crate::figure::format_figure;
use crate::plot::Plot;

/// The report of one benchmark.
#[derive(Debug, Default)]
pub(crate) struct Section {
    pub(crate) title: String,
    pub(crate) tables: Vec<Table>,
    pub(crate) notes: Vec<String>,
    pub(crate) goals: Vec<Goal>,
    pub(crate) plots: Vec<Plot>,
}

#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) columns: Vec<String>,
    /// The first cell is the row's label.
    pub(crate) rows: Vec<Vec<String>>,
}

/// A required bound of a figure, and the measured figure.
#[derive(Debug, Clone)]
pub(crate) struct Goal {
    pub(crate) name: String,
    pub(crate) bound: Bound,
    pub(crate) unit: &'static str,
    /// The figure, or the reason why it was not measured.
    pub(crate) reached: Result<f64, String>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Section {
    pub(crate) fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }

    pub(crate) fn goal(
        &mut self,
        name: impl Into<String>,
        bound: Bound,
        unit: &'static str,
        reached: Result<f64, String>,
    ) {
        self.goals.push(Goal { name: name.into(), bound, unit, reached });
    }
}

impl Table {
    pub(crate) fn new(columns: &[&str]) -> Self {
        Self {
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The table as text: the first column is left-aligned, the others are right-aligned.
    pub(crate) fn text(&self) -> String {
        let lines = || std::iter::once(&self.columns).chain(&self.rows);
        let width = |column: usize| {
            lines().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max()
        };
        let widths: Vec<usize> =
            (0..self.columns.len()).map(|column| width(column).unwrap_or(0)).collect();
        let mut text = String::new();
        for line in lines() {
            for (index, (cell, width)) in line.iter().zip(&widths).enumerate() {
                let cell = if index == 0 {
                    format!("  {cell:<width$}")
                } else {
                    format!("  {cell:>width$}")
                };
                text.push_str(&cell);
            }
            text.push('\n');
        }
        text
    }

    pub(crate) fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let mut text = line(&self.columns);
        text.push_str(&format!("|---{}|\n", "|---:".repeat(self.columns.len().saturating_sub(1))));
        self.rows.iter().for_each(|row| text.push_str(&line(row)));
        text
    }
}

impl Goal {
    pub(crate) fn is_missed(&self) -> bool {
        match (&self.reached, self.bound) {
            (Err(_), _) => false,
            (Ok(reached), _) if !reached.is_finite() => true,
            (Ok(reached), Bound::AtLeast(least)) => *reached < least,
            (Ok(reached), Bound::AtMost(most)) => *reached > most,
        }
    }

    fn bound(&self) -> String {
        match self.bound {
            Bound::AtLeast(least) => format!("at least {least}{}", self.unit),
            Bound::AtMost(most) => format!("at most {most}{}", self.unit),
        }
    }

    /// The name, the bound, the figure, the verdict.
    pub(crate) fn row(&self) -> Vec<String> {
        let verdict = match (&self.reached, self.is_missed()) {
            (Err(reason), _) => format!("skipped: {reason}"),
            (Ok(_), true) => "missed".to_owned(),
            (Ok(_), false) => "reached".to_owned(),
        };
        let reached = match &self.reached {
            Err(_) => "–".to_owned(),
            Ok(reached) => format!("{}{}", format_figure(*reached), self.unit),
        };
        vec![self.name.clone(), self.bound(), reached, verdict]
    }
}

/// All goals in one table.
pub(crate) fn goals<'a>(goals: impl Iterator<Item = &'a Goal>) -> Table {
    let mut table = Table::new(&["", "goal", "reached", ""]);
    goals.for_each(|goal| table.row(goal.row()));
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goal(bound: Bound, reached: Result<f64, &str>) -> Goal {
        let reached = reached.map_err(str::to_owned);
        Goal { name: "speed".to_owned(), bound, unit: "", reached }
    }

    #[test]
    fn a_goal_is_missed_only_beyond_its_bound() {
        assert!(goal(Bound::AtLeast(2.0), Ok(1.9)).is_missed());
        assert!(!goal(Bound::AtLeast(2.0), Ok(2.0)).is_missed());
        assert!(goal(Bound::AtMost(2.0), Ok(2.1)).is_missed());
        assert!(!goal(Bound::AtMost(2.0), Ok(2.0)).is_missed());
        assert!(goal(Bound::AtLeast(2.0), Ok(f64::INFINITY)).is_missed());
        assert!(goal(Bound::AtMost(2.0), Ok(f64::NAN)).is_missed());
    }

    #[test]
    fn a_skipped_goal_is_not_missed_and_has_a_reason() {
        let goal = goal(Bound::AtLeast(2.0), Err("put is not in this build"));
        assert!(!goal.is_missed());
        assert_eq!(goal.row(), ["speed", "at least 2", "–", "skipped: put is not in this build"]);
    }

    #[test]
    fn a_table_is_written_as_text_and_as_markdown() {
        let mut table = Table::new(&["", "MB/s"]);
        table.row(["quiver".to_owned(), format_figure(1234.4)]);
        assert_eq!(table.text(), "           MB/s\n  quiver  1,234\n");
        assert_eq!(table.markdown(), "|  | MB/s |\n|---|---:|\n| quiver | 1,234 |\n");
    }
}
