//! The measured part of docs/performance.md: everything between two marker comments, and the plots.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::cast::Cast;
use crate::machine;
use crate::report::{Section, goals};

const BEGIN: &str = "<!-- measured: begin. scripts/bench --write writes what follows. -->";
const END: &str = "<!-- measured: end -->";

/// Where it is, from the top of the repository.
const PAGE: &str = "docs/performance.md";
const PLOTS: &str = "docs/plots";

/// Finds out before anything is measured whether there is a page to write to.
pub(crate) fn check() {
    let page = fs::read_to_string(PAGE).unwrap_or_default();
    assert!(
        page.contains(BEGIN) && page.contains(END),
        "{PAGE} has no marker comments: start scripts/bench, or put the two lines back:\n{BEGIN}\n{END}"
    );
}

/// Writes the page's measured part, and the plots.
pub(crate) fn write(cast: &Cast, sections: &[Section]) {
    let page = fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("checked at the start");
    let (_, after) = rest.split_once(END).expect("checked at the start");
    let measured = measured(cast, sections);
    fs::write(PAGE, format!("{before}{BEGIN}\n{measured}{END}{after}")).unwrap();
    for plot in sections.iter().flat_map(|section| &section.plots) {
        fs::create_dir_all(PLOTS).unwrap();
        fs::write(Path::new(PLOTS).join(plot.name).with_extension("svg"), plot.svg()).unwrap();
    }
}

fn measured(cast: &Cast, sections: &[Section]) -> String {
    let mut text = String::from("## Measured\n\n");
    text.push_str(&machine::describe().markdown());
    let _ = write!(text, "\nVersions: {}.\n", cast.versions.join("; "));
    if !cast.left_out.is_empty() {
        let _ = writeln!(text, "Left out: {}.", cast.left_out.join("; "));
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

/// What to type for the same figures elsewhere: without the folders of this machine.
fn command(arguments: impl Iterator<Item = String>) -> String {
    let mut command = "scripts/bench".to_owned();
    let mut folder = false;
    for argument in arguments.filter(|argument| argument != "--own-network") {
        command.push(' ');
        command.push_str(if folder { "DIR" } else { &argument });
        folder = ["--disk", "--folder"].contains(&argument.as_str());
    }
    command
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_names_no_folder_of_this_machine() {
        let typed = ["--own-network", "--write", "--disk", "/srv/scratch", "--rounds", "9"];
        let command = super::command(typed.into_iter().map(str::to_owned));
        assert_eq!(command, "scripts/bench --write --disk DIR --rounds 9");
    }
}
