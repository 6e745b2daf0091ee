//! Shows what a transfer leaves out, and dry runs.

use quiver_client::transfers::{PlanSummary, PlannedFile, TransferId};
use quiver_client::tree::LeftOut;

use super::{Interface, TransferStyle};
use crate::failure::Failure;
use crate::output::{PRINT_SIZE, human, json, plan};

impl Interface {
    /// Names what is left out. What misses content is named even if the output is quiet.
    pub(super) async fn show_left_out(
        &self,
        left_out: &LeftOut,
        style: TransferStyle,
    ) -> Result<(), Failure> {
        // The objects of an offer are its own events.
        if style.json && style.offer.is_none() {
            let lines =
                left_out.named().iter().map(|entry| json::line(&json::LeftOutLine::new(entry)));
            return self.output.data(lines.map(|line| line + "\n").collect()).await;
        }
        for entry in left_out.named() {
            match human::left_out(entry) {
                (text, true) => self.output.warn("left_out", text).await,
                (text, false) => self.output.note("left_out", text).await,
            }
        }
        let unnamed = left_out.unnamed_count();
        if unnamed > 0 {
            self.output.note("left_out", human::left_out_unnamed(unnamed)).await;
        }
        Ok(())
    }

    /// Collects the rows of a dry run, and prints many at once.
    pub(super) async fn show_planned(
        &mut self,
        id: TransferId,
        planned: &PlannedFile,
        json: bool,
    ) -> Result<(), Failure> {
        let width = self.output.data_width();
        let rows = self.plan_rows.entry(id).or_default();
        *rows += &if json { plan::json_row(planned) } else { plan::row(planned, width) };
        rows.push('\n');
        if rows.len() >= PRINT_SIZE {
            self.output.data(std::mem::take(rows)).await?;
        }
        Ok(())
    }

    /// Prints the last rows of a dry run, and its totals.
    pub(super) async fn show_plan_summary(
        &mut self,
        id: TransferId,
        summary: &PlanSummary,
        json: bool,
    ) -> Result<(), Failure> {
        let mut rows = self.plan_rows.remove(&id).unwrap_or_default();
        if json {
            rows += &json::line(&json::PlanSummaryLine::new(summary));
        } else {
            rows += &plan::summary(summary);
        }
        rows.push('\n');
        self.output.data(rows).await
    }
}
