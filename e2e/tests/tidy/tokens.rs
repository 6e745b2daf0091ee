//! The declarations, imports and paths in one module's tokens. Opens no file and resolves no path.

use std::collections::HashSet;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// A path of at least two names, or an imported one.
#[derive(Clone, Debug)]
pub(crate) struct SourcePath {
    pub(crate) names: Vec<String>,
    pub(crate) line: usize,
}

/// One name that a `use` imports, or all names of a module.
#[derive(Debug)]
pub(crate) struct Import {
    /// Its name in the importing module. `None` for `*`.
    pub(crate) name: Option<String>,
    pub(crate) path: SourcePath,
}

#[derive(Debug)]
pub(crate) struct ChildModule {
    pub(crate) name: String,
    /// `None` if it has a file of its own.
    pub(crate) body: Option<TokenStream>,
}

#[derive(Debug, Default)]
pub(crate) struct ModuleContents {
    pub(crate) modules: Vec<ChildModule>,
    pub(crate) items: HashSet<String>,
    pub(crate) imports: Vec<Import>,
    pub(crate) paths: Vec<SourcePath>,
}

pub(crate) fn read(tokens: TokenStream) -> ModuleContents {
    let mut contents = ModuleContents::default();
    contents.collect(tokens, true);
    contents
}

impl ModuleContents {
    /// `is_top`: not inside braces, brackets or parentheses.
    fn collect(&mut self, tokens: TokenStream, is_top: bool) {
        let tokens = without_tests(tokens);
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at += match token {
                TokenTree::Ident(ident) => match ident.to_string().as_str() {
                    "use" if !is_mark(tokens.get(at + 1), '<') => self.collect_use(&tokens[at..]),
                    "mod" if is_top => self.collect_module(&tokens[at..]),
                    "pub" if is_visibility(tokens.get(at + 1)) => 2,
                    "struct" | "enum" | "union" | "trait" | "type" | "fn" | "const" | "static"
                        if is_top =>
                    {
                        self.collect_item(&tokens[at..])
                    }
                    "macro_rules" if is_top => self.collect_item(&tokens[at + 1..]) + 1,
                    _ => self.collect_path(&tokens[at..]),
                },
                TokenTree::Group(group) => {
                    self.collect(group.stream(), false);
                    1
                }
                // A lifetime: 'static is not a keyword.
                TokenTree::Punct(mark) if mark.as_char() == '\'' => 2,
                // A path of another crate, or a path after a type in angle brackets: <T as Trait>::Name.
                TokenTree::Punct(_) if is_separator(&tokens[at..]) => {
                    2 + path_at_start(tokens.get(at + 2..).unwrap_or_default()).0
                }
                // A field or a method.
                TokenTree::Punct(mark)
                    if mark.as_char() == '.'
                        && !is_mark(
                            at.checked_sub(1).and_then(|before| tokens.get(before)),
                            '.',
                        ) =>
                {
                    1 + usize::from(matches!(tokens.get(at + 1), Some(TokenTree::Ident(_))))
                }
                _ => 1,
            };
        }
    }

    fn collect_use(&mut self, tokens: &[TokenTree]) -> usize {
        let end = tokens.iter().position(|token| is_mark(Some(token), ';')).unwrap_or(tokens.len());
        self.collect_use_tree(&tokens[1..end], &[]);
        end
    }

    fn collect_use_tree(&mut self, tokens: &[TokenTree], parent: &[String]) {
        let mut path = parent.to_vec();
        let mut at = 0;
        let mut line = 0;
        // A path that starts with `::` is of another crate.
        if parent.is_empty() && is_separator(tokens) {
            return;
        }
        while let Some(token) = tokens.get(at) {
            match token {
                TokenTree::Ident(ident) if ident == "as" => {
                    let name = tokens.get(at + 1).map(ToString::to_string);
                    self.imports.push(Import { name, path: SourcePath { names: path, line } });
                    return;
                }
                TokenTree::Ident(ident) => {
                    line = ident.span().start().line;
                    if ident != "self" || path.is_empty() {
                        path.push(name_of(ident));
                    }
                }
                TokenTree::Group(group) => {
                    let inner: Vec<_> = group.stream().into_iter().collect();
                    for tree in inner.split(|token| is_mark(Some(token), ',')) {
                        if !tree.is_empty() {
                            self.collect_use_tree(tree, &path);
                        }
                    }
                    return;
                }
                TokenTree::Punct(mark) if mark.as_char() == '*' => {
                    line = mark.span().start().line;
                    self.imports
                        .push(Import { name: None, path: SourcePath { names: path, line } });
                    return;
                }
                _ => {}
            }
            at += 1;
        }
        if let Some(name) = path.last().cloned() {
            self.imports.push(Import { name: Some(name), path: SourcePath { names: path, line } });
        }
    }

    fn collect_module(&mut self, tokens: &[TokenTree]) -> usize {
        let Some(TokenTree::Ident(name)) = tokens.get(1) else { return 1 };
        let body = match tokens.get(2) {
            Some(TokenTree::Group(body)) if body.delimiter() == Delimiter::Brace => {
                Some(body.stream())
            }
            _ => None,
        };
        self.modules.push(ChildModule { name: name_of(name), body });
        3
    }

    fn collect_item(&mut self, tokens: &[TokenTree]) -> usize {
        let is_name = |token: &&TokenTree| !(is_mark(Some(token), '!') || is_word(token, "mut"));
        match tokens.iter().skip(1).find(is_name) {
            // `const fn`: the name follows the second word.
            Some(token)
                if ["fn", "unsafe", "async", "extern"].iter().any(|word| is_word(token, word)) =>
            {
                1
            }
            Some(TokenTree::Ident(ident)) => {
                self.items.insert(name_of(ident));
                2
            }
            _ => 1,
        }
    }

    fn collect_path(&mut self, tokens: &[TokenTree]) -> usize {
        let (length, path) = path_at_start(tokens);
        if path.len() > 1
            && let Some(TokenTree::Ident(first)) = tokens.first()
        {
            self.paths.push(SourcePath { names: path, line: first.span().start().line });
        }
        length.max(1)
    }
}

/// The names at the start that are joined by `::`, and their number of tokens.
fn path_at_start(tokens: &[TokenTree]) -> (usize, Vec<String>) {
    let mut path = Vec::new();
    let mut at = 0;
    while let Some(TokenTree::Ident(name)) = tokens.get(at) {
        path.push(name_of(name));
        at += 1;
        let follows = matches!(tokens.get(at + 2), Some(TokenTree::Ident(_)));
        if !(is_separator(&tokens[at..]) && follows) {
            break;
        }
        at += 2;
    }
    (at, path)
}

/// The tokens that are not compiled only for tests. Groups are not searched.
pub(crate) fn without_tests(tokens: TokenStream) -> Vec<TokenTree> {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let mut remaining = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match attribute(&tokens[at..]) {
            // #![cfg(test)] applies to all following tokens.
            Some((_, group)) if is_for_tests(group) && is_mark(tokens.get(at + 1), '!') => break,
            Some((_, group)) if is_for_tests(group) => at += item_length(&tokens[at..]),
            // Other attributes may name a module: #[arg(value_parser = crate::size::parse)].
            _ => {
                remaining.push(token.clone());
                at += 1;
            }
        }
    }
    remaining
}

/// The attribute at the start, and its number of tokens.
fn attribute(tokens: &[TokenTree]) -> Option<(usize, &Group)> {
    if !is_mark(tokens.first(), '#') {
        return None;
    }
    let at = if is_mark(tokens.get(1), '!') { 2 } else { 1 };
    match tokens.get(at) {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Bracket => {
            Some((at + 1, group))
        }
        _ => None,
    }
}

/// `[cfg(test)]`, `[cfg(all(test, ...))]`, but not `[cfg(not(test))]`.
fn is_for_tests(attribute: &Group) -> bool {
    fn names_test(tokens: TokenStream) -> bool {
        let mut is_negated = false;
        tokens.into_iter().any(|token| match token {
            TokenTree::Ident(ident) => {
                is_negated = ident == "not";
                ident == "test"
            }
            TokenTree::Group(group) => !is_negated && names_test(group.stream()),
            _ => false,
        })
    }
    let mut tokens = attribute.stream().into_iter();
    let is_cfg = matches!(tokens.next(), Some(TokenTree::Ident(ident)) if ident == "cfg");
    is_cfg && names_test(tokens.collect())
}

/// The number of tokens of the item at the start, with its attributes.
fn item_length(tokens: &[TokenTree]) -> usize {
    let mut at = 0;
    while let Some((length, _)) = attribute(&tokens[at..]) {
        at += length;
    }
    // Braces do not end these items.
    let mut ends_with_semicolon = false;
    let mut is_item = false;
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token {
            TokenTree::Ident(ident) => match ident.to_string().as_str() {
                "use" | "let" | "static" => (is_item, ends_with_semicolon) = (true, true),
                "const" if !matches!(tokens.get(at), Some(TokenTree::Ident(next)) if next == "fn") =>
                {
                    (is_item, ends_with_semicolon) = (true, true);
                }
                "mod" | "fn" | "struct" | "enum" | "trait" | "impl" | "type" | "union" => {
                    is_item = true
                }
                _ => {}
            },
            TokenTree::Punct(mark) if mark.as_char() == ';' => return at,
            // A field, a variant or an argument.
            TokenTree::Punct(mark) if mark.as_char() == ',' && !is_item => return at,
            TokenTree::Group(group)
                if group.delimiter() == Delimiter::Brace && !ends_with_semicolon =>
            {
                return at;
            }
            _ => {}
        }
    }
    at
}

fn is_mark(token: Option<&TokenTree>, mark: char) -> bool {
    matches!(token, Some(TokenTree::Punct(found)) if found.as_char() == mark)
}

fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == word)
}

/// `::`
fn is_separator(tokens: &[TokenTree]) -> bool {
    is_mark(tokens.first(), ':') && is_mark(tokens.get(1), ':')
}

/// `(crate)`, `(super)`, `(in crate::files)`
fn is_visibility(token: Option<&TokenTree>) -> bool {
    let Some(TokenTree::Group(group)) = token else { return false };
    let first = group.stream().into_iter().next();
    matches!(first, Some(TokenTree::Ident(ident)) if ["crate", "super", "self", "in"].iter().any(|word| ident == word))
}

/// A name without the `r#` of a raw identifier.
fn name_of(ident: &proc_macro2::Ident) -> String {
    ident.to_string().trim_start_matches("r#").to_owned()
}
