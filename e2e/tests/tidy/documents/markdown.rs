//! The parts of Markdown that the documents use: prose, fenced blocks, code spans, headings and tables. Renders nothing.

/// A code span: the line on which it starts, and its text on one line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CodeSpan {
    pub(super) line: usize,
    pub(super) text: String,
}

/// The text with each line of a fenced block made empty.
pub(super) fn prose(text: &str) -> String {
    split_fences(text, false)
}

/// The text of the fenced blocks; all other lines are empty.
pub(super) fn fenced(text: &str) -> String {
    split_fences(text, true)
}

fn split_fences(text: &str, keep_fenced: bool) -> String {
    let mut is_fenced = false;
    let mut kept = String::new();
    for line in text.lines() {
        if line.starts_with("```") {
            is_fenced = !is_fenced;
        } else if is_fenced == keep_fenced {
            kept.push_str(line);
        }
        kept.push('\n');
    }
    kept
}

/// The code spans outside of fenced blocks. A span may end on a later line, but not beyond an empty one.
pub(super) fn code_spans(text: &str) -> Vec<CodeSpan> {
    let mut spans = Vec::new();
    let mut open: Option<CodeSpan> = None;
    for (index, line) in prose(text).lines().enumerate() {
        if line.trim().is_empty() {
            open = None;
        }
        for (part_index, part) in line.split('`').enumerate() {
            if part_index > 0 {
                match open.take() {
                    Some(span) => spans.push(span),
                    None => open = Some(CodeSpan { line: index + 1, text: String::new() }),
                }
            }
            if let Some(span) = &mut open {
                if part_index == 0 {
                    span.text.push(' ');
                }
                span.text.push_str(part.trim_start_matches(if part_index == 0 {
                    ' '
                } else {
                    '\0'
                }));
            }
        }
    }
    spans
}

/// The anchors of all headings, as GitHub makes them.
pub(super) fn anchors(text: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    let mut bases: Vec<String> = Vec::new();
    for line in prose(text).lines() {
        let title = line.trim_start_matches('#');
        let level = line.len() - title.len();
        let Some(title) = title.strip_prefix(' ').filter(|_| (1..=6).contains(&level)) else {
            continue;
        };
        let is_kept = |char: &char| char.is_alphanumeric() || "-_ ".contains(*char);
        let base: String = title.trim().to_lowercase().chars().filter(is_kept).collect();
        let base = base.replace(' ', "-");
        let earlier = bases.iter().filter(|other| **other == base).count();
        anchors.push(if earlier == 0 { base.clone() } else { format!("{base}-{earlier}") });
        bases.push(base);
    }
    anchors
}

/// The rows of the tables in this text, without heads and rules: the line of each, and its cells.
pub(super) fn table_rows(text: &str) -> Vec<(usize, Vec<String>)> {
    let prose = prose(text);
    let lines: Vec<_> = prose.lines().collect();
    let is_rule = |line: &str| line.starts_with("|--");
    let mut rows = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let is_head = lines.get(index + 1).is_some_and(|next| is_rule(next));
        if line.starts_with('|') && !is_rule(line) && !is_head {
            rows.push((index + 1, cells(line)));
        }
    }
    rows
}

/// The cells of a row. A `|` inside a code span separates nothing.
fn cells(row: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut is_code = false;
    for char in row.trim().trim_start_matches('|').trim_end_matches('|').chars() {
        is_code ^= char == '`';
        match cells.last_mut() {
            Some(cell) if char != '|' || is_code => cell.push(char),
            _ => cells.push(String::new()),
        }
    }
    cells.iter().map(|cell| cell.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_spans_are_found_outside_of_fenced_blocks_and_across_lines() {
        let text = "a `b c` d `e\n  f`\n```\n`no`\n```\n`open\n\n`last`";
        let found: Vec<_> =
            code_spans(text).into_iter().map(|span| (span.line, span.text)).collect();
        let expected = [(1, "b c"), (1, "e f"), (8, "last")];
        assert_eq!(found, expected.map(|(line, text)| (line, text.to_owned())));
    }

    #[test]
    fn anchors_are_those_of_github() {
        let text = "# The client: `quiver`\n## Scripts and `--json`\n#no\n## hello\n```\n# no\n```\n### Hello";
        assert_eq!(anchors(text), ["the-client-quiver", "scripts-and---json", "hello", "hello-1"]);
    }

    #[test]
    fn rows_of_tables_have_no_heads_and_keep_bars_in_code() {
        let text = "| a | b |\n|---|---|\n| `x|y` | 2 |\n";
        assert_eq!(table_rows(text), [(3, vec!["`x|y`".to_owned(), "2".to_owned()])]);
    }
}
