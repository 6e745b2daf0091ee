//! The import graph: no cycle among sibling modules. A module and all its submodules count as one, so a module and its
//! submodules may import each other.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use crate::modules::{Modules, Reference, crate_roots};
use crate::violation::Violation;

const REMEDY: &str = "remove the arrows of one direction: move the code that both sides use into a file that imports \
                      neither, or pass it in";

/// References that are listed for each arrow.
const MAX_REFERENCES: usize = 3;

/// The arrows among the children of one module, each with its references.
type Arrows<'a> = BTreeMap<(usize, usize), Vec<&'a Reference>>;

/// Checks all crates in the folders of these packages.
pub(crate) fn check(repository: &Path, packages: &[impl AsRef<Path>]) -> Vec<Violation> {
    let roots = packages.iter().flat_map(|package| crate_roots(&repository.join(package)));
    roots
        .flat_map(|root| match Modules::read(&root) {
            Ok(modules) => check_crate(repository, &modules),
            Err(error) => vec![Violation::new(
                relative_path(repository, &root),
                format!("its modules cannot be read: {error}"),
                "write `mod name;` beside name.rs or name/mod.rs, without #[path]",
            )],
        })
        .collect()
}

fn check_crate(repository: &Path, modules: &Modules) -> Vec<Violation> {
    let references = modules.references();
    let mut by_parent: BTreeMap<usize, Arrows<'_>> = BTreeMap::new();
    for reference in &references {
        if let Some((parent, from, to)) = siblings(modules, reference) {
            by_parent.entry(parent).or_default().entry((from, to)).or_default().push(reference);
        }
    }
    let mut violations = Vec::new();
    for (parent, arrows) in &by_parent {
        for cycle in cycles(arrows) {
            violations.push(describe(repository, modules, *parent, &cycle, arrows));
        }
    }
    violations
}

/// The innermost module that contains both ends of a reference, and its two children that contain them. `None` if one
/// end contains the other.
fn siblings(modules: &Modules, reference: &Reference) -> Option<(usize, usize, usize)> {
    let (from, to) = (modules.ancestors(reference.from), modules.ancestors(reference.to));
    let shared = from.iter().zip(&to).take_while(|(from, to)| from == to).count();
    Some((from[shared - 1], *from.get(shared)?, *to.get(shared)?))
}

/// The groups of modules that all reach each other (strongly connected components).
fn cycles(arrows: &Arrows<'_>) -> Vec<Vec<usize>> {
    let mut members: Vec<_> = arrows.keys().flat_map(|(from, to)| [*from, *to]).collect();
    members.sort_unstable();
    members.dedup();
    let mut found: Vec<Vec<usize>> = Vec::new();
    for start in members {
        if found.iter().flatten().any(|member| *member == start) {
            continue;
        }
        let forward = reachable(start, |at| {
            arrows.keys().filter(move |(from, _)| *from == at).map(|(_, to)| *to)
        });
        let backward = reachable(start, |at| {
            arrows.keys().filter(move |(_, to)| *to == at).map(|(from, _)| *from)
        });
        let group: Vec<_> =
            forward.into_iter().filter(|member| backward.contains(member)).collect();
        if group.len() > 1 {
            found.push(group);
        }
    }
    found
}

fn reachable<I: Iterator<Item = usize>>(start: usize, next: impl Fn(usize) -> I) -> Vec<usize> {
    let mut found = vec![start];
    let mut at = 0;
    while let Some(member) = found.get(at) {
        for other in next(*member) {
            if !found.contains(&other) {
                found.push(other);
            }
        }
        at += 1;
    }
    found.sort_unstable();
    found
}

fn describe(
    repository: &Path,
    modules: &Modules,
    parent: usize,
    cycle: &[usize],
    arrows: &Arrows<'_>,
) -> Violation {
    let name = |module: &usize| modules.all[*module].name.as_str();
    let names: Vec<_> = cycle.iter().map(name).collect();
    let mut rule = format!("import cycle in {} among {}", modules.path(parent), names.join(", "));
    for ((from, to), references) in arrows {
        if !(cycle.contains(from) && cycle.contains(to)) {
            continue;
        }
        let _ = write!(rule, "\n    {} -> {} ({})", name(from), name(to), references.len());
        for reference in references.iter().take(MAX_REFERENCES) {
            let file = relative_path(repository, &modules.all[reference.from].file);
            let _ = write!(rule, "\n        {file}:{}: {}", reference.line, reference.path);
        }
    }
    Violation::new(relative_path(repository, &modules.all[parent].file), rule, REMEDY)
}

fn relative_path(repository: &Path, file: &Path) -> String {
    file.strip_prefix(repository).unwrap_or(file).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::SourceTree;

    /// The cycles of a crate with these files, each as the first line of its violation.
    fn cycles_of(files: &[(&str, &str)]) -> Vec<String> {
        let sources = SourceTree::new(files);
        let violations = check(sources.path(), &["."]);
        let first_lines =
            violations.iter().map(|violation| violation.rule.lines().next().unwrap().to_owned());
        first_lines.collect()
    }

    fn assert_cycle(files: &[(&str, &str)], expected: &str) {
        assert_eq!(cycles_of(files), [format!("import cycle in {expected}")]);
    }

    fn assert_no_cycle(files: &[(&str, &str)]) {
        assert_eq!(cycles_of(files), [""; 0]);
    }

    #[test]
    fn two_files_that_import_each_other_are_a_cycle() {
        assert_cycle(
            &[
                ("src/lib.rs", "mod a; mod b;"),
                ("src/a.rs", "use crate::b::B; pub struct A;"),
                ("src/b.rs", "use super::a::A; pub struct B;"),
            ],
            "crate among a, b",
        );
    }

    #[test]
    fn a_cycle_over_three_files_is_one_cycle_and_names_every_arrow() {
        let files = [
            ("src/lib.rs", "mod a; mod b; mod c; mod d;"),
            ("src/a.rs", "use crate::b::B;"),
            ("src/b.rs", "\nuse crate::{d::D, c::{self, C}};"),
            ("src/c.rs", "fn f() -> u8 { g(|x| vec![crate::a::A::new(x)]) }"),
            ("src/d.rs", "pub struct D;"),
        ];
        assert_cycle(&files, "crate among a, b, c");
        let sources = SourceTree::new(&files);
        let text = check(sources.path(), &["."])[0].to_string();
        for line in [
            "a -> b (1)",
            "src/a.rs:1: crate::b::B",
            "b -> c (2)",
            "src/b.rs:2: crate::c::C",
            "c -> a (1)",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(!text.contains("-> d"), "{text}");
    }

    #[test]
    fn imports_in_one_direction_are_not_a_cycle() {
        assert_no_cycle(&[
            ("src/lib.rs", "mod a; mod b; mod c; pub use a::A; pub use c::C;"),
            ("src/a.rs", "use crate::{b::B, c::*}; use crate::SMALL;"),
            ("src/b.rs", "use crate::c::C; use std::fs; use ::a::A; fn f() { ::a::A::new() }"),
            ("src/c.rs", "pub struct C;"),
        ]);
    }

    #[test]
    fn a_path_in_code_or_in_a_macro_counts_like_an_import() {
        for body in [
            "fn f() { crate::b::g(); }",
            "fn f() { info!(\"{}\", crate::b::g()); }",
            "fn f(x: Vec<crate::b::B>) {}",
            "impl crate::b::B { }",
            "#[arg(value_parser = crate::b::parse)] struct S;",
            "fn f() { for x in 0..super::b::N {} }",
            "use super::b; fn f() { b::g(); }",
            "fn f() { use crate::b as other; other::g() }",
            "use crate::*; fn f() { b::g(); }",
            "mod inner { fn f() { super::super::b::g(); } }",
            "pub(crate) use crate::b::B;",
            "#[cfg(not(test))] use crate::b::B;",
            "#[cfg(test)] use std::fs; use crate::b::B;",
            "#[cfg(test)] const X: S = S { }; use crate::b::B;",
        ] {
            assert_cycle(
                &[
                    ("src/lib.rs", "mod a; mod b;"),
                    ("src/a.rs", body),
                    ("src/b.rs", "use crate::a::A;"),
                ],
                "crate among a, b",
            );
        }
    }

    #[test]
    fn tests_comments_strings_and_visibility_are_not_imports() {
        for body in [
            "// use crate::b::B;\n/* crate::b::B */\n/// [`crate::b::B`]\nstruct S;",
            "const TEXT: &str = \"crate::b::B\";",
            "#[cfg(test)] mod tests { use crate::b::B; }",
            "#[cfg(test)]\nuse crate::b::{B, C};",
            "#[cfg(all(test, unix))] #[expect(lint)] fn f() -> u8 { crate::b::g() }",
            "struct S { #[cfg(test)] x: crate::b::B, y: u8 }",
            "fn f() { #[cfg(test)] crate::b::g(); }",
            "pub(in crate::b) struct S;",
            "fn f() { x.b::<u8>(); <X as Y>::b::g(); }",
        ] {
            assert_no_cycle(&[
                ("src/lib.rs", "mod a; mod b;"),
                ("src/a.rs", body),
                ("src/b.rs", "use crate::a::A;"),
            ]);
        }
    }

    #[test]
    fn a_re_export_leads_to_the_module_that_defines_the_name() {
        assert_cycle(
            &[
                (
                    "src/lib.rs",
                    "mod a; mod b; mod c; pub use b::{B as Renamed, inner::*}; pub use c::C;",
                ),
                ("src/a.rs", "use crate::Renamed;"),
                ("src/b.rs", "use crate::a::A; pub struct B; pub mod inner;"),
                ("src/b/inner.rs", "pub struct Inner;"),
                ("src/c.rs", "use crate::Inner; pub struct C;"),
            ],
            "crate among a, b",
        );
    }

    #[test]
    fn re_exports_in_a_cycle_are_resolved_without_an_endless_loop() {
        assert_no_cycle(&[
            ("src/lib.rs", "pub use self::X; use Y as Z; use Z as Y; mod a;"),
            ("src/a.rs", "use crate::X; use crate::Y;"),
        ]);
    }

    #[test]
    fn a_module_and_its_submodules_count_as_one() {
        let below = [
            ("src/lib.rs", "mod a; mod b;"),
            ("src/a.rs", "mod inner; use inner::Inner; pub struct A; use crate::b::B;"),
            ("src/a/inner.rs", "use super::A; pub struct Inner;"),
            ("src/b/mod.rs", "pub mod deep; pub struct B;"),
        ];
        assert_no_cycle(&[&below[..], &[("src/b/deep.rs", "use crate::b::B;")]].concat());
        assert_cycle(
            &[&below[..], &[("src/b/deep.rs", "use crate::a::A;")]].concat(),
            "crate among a, b",
        );
    }

    #[test]
    fn cycles_are_found_among_the_files_of_every_folder() {
        assert_cycle(
            &[
                ("src/lib.rs", "mod a;"),
                ("src/a/mod.rs", "mod b; mod c; pub use b::B;"),
                ("src/a/b.rs", "use super::c::C; pub struct B;"),
                ("src/a/c.rs", "use crate::a::B; pub struct C;"),
            ],
            "crate::a among b, c",
        );
    }

    #[test]
    fn binaries_and_tests_are_crates_of_their_own() {
        for root in
            ["src/main.rs", "src/bin/tool/main.rs", "tests/stories/main.rs", "tests/story.rs"]
        {
            let folder = root.rsplit_once('/').unwrap().0;
            let (a, b) = (format!("{folder}/a.rs"), format!("{folder}/b.rs"));
            assert_cycle(
                &[(root, "mod a; mod b;"), (&a, "use crate::b::B;"), (&b, "use crate::a::A;")],
                "crate among a, b",
            );
        }
    }

    #[test]
    fn a_module_without_a_file_is_reported() {
        let cycles = cycles_of(&[("src/lib.rs", "mod missing;")]);
        assert!(cycles[0].contains("no file for `mod missing;`"), "{cycles:?}");
    }
}
