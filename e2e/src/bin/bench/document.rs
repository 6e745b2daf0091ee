//! The generated section of docs/performance.md, between two marker comments, and the plots.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::machine;
use crate::report::{Section, goals};
use crate::testbed::Testbed;

const BEGIN: &str = "<!-- measured: begin. scripts/bench --write writes what follows. -->";
const END: &str = "<!-- measured: end -->";

/// Paths below the root of the repository.
const PAGE: &str = "docs/performance.md";
const PLOTS: &str = "docs/plots";

/// Checks before the measurements that the page exists and has the marker comments.
pub(crate) fn check() {
    let page = fs::read_to_string(PAGE).unwrap_or_default();
    assert!(
        page.contains(BEGIN) && page.contains(END),
        "{PAGE} has no marker comments: run scripts/bench from the repository, or add the two lines again:\n{BEGIN}\n{END}"
    );
}

/// Writes the generated section of the page, and the plots.
pub(crate) fn write(testbed: &Testbed, sections: &[Section]) {
    let page = fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("check() has passed");
    let (_, after) = rest.split_once(END).expect("check() has passed");
    let measured = measured(testbed, sections);
    fs::write(PAGE, format!("{before}{BEGIN}\n{measured}{END}{after}")).unwrap();
    for plot in sections.iter().flat_map(|section| &section.plots) {
        fs::create_dir_all(PLOTS).unwrap();
        fs::write(Path::new(PLOTS).join(plot.name).with_extension("svg"), plot.svg()).unwrap();
    }
}

fn measured(testbed: &Testbed, sections: &[Section]) -> String {
    let mut text = String::from("## Measured\n\n");
    text.push_str(&machine::describe().markdown());
    let _ = write!(text, "\nVersions: {}.\n", testbed.versions.join("; "));
    if !testbed.skipped.is_empty() {
        let _ = writeln!(text, "Skipped: {}.", testbed.skipped.join("; "));
    }
    let command = command(std::env::args().skip(1));
    let _ = write!(text, "To measure the same: `{command}`.\n\n");
    text.push_str(&goals(sections.iter().flat_map(|section| &section.goals)).markdown());
    for section in sections {
        let _ = write!(text, "\n### {}\n", section.title);
        for table in &section.tables {
            let _ = write!(text, "\n{}", table.markdown());
        }
        for note in &section.notes {
            let _ = write!(text, "\n{note}\n");
        }
        for plot in &section.plots {
            let _ = write!(text, "\n![{}](plots/{}.svg)\n", plot.title, plot.name);
        }
    }
    text.push('\n');
    text
}

/// The command that repeats this run on another machine, without the folders of this one.
fn command(arguments: impl Iterator<Item = String>) -> String {
    let mut command = "scripts/bench".to_owned();
    let mut is_folder = false;
    for argument in arguments.filter(|argument| argument != "--own-network") {
        command.push(' ');
        command.push_str(if is_folder { "DIR" } else { &argument });
        is_folder = ["--disk", "--folder"].contains(&argument.as_str());
    }
    command
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_names_no_folder_of_this_machine() {
        let arguments = ["--own-network", "--write", "--disk", "/srv/scratch", "--rounds", "9"];
        let command = super::command(arguments.into_iter().map(str::to_owned));
        assert_eq!(command, "scripts/bench --write --disk DIR --rounds 9");
    }
}
