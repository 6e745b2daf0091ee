//! The values of constants, from the expressions in the sources. Knows numbers, durations and sizes; runs no code.

use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};

use super::literals::{string, tokens_of};

/// Its constants are known to expressions in all files.
const LIMITS: &str = "protocol/src/limits.rs";

/// The value of an expression of numbers, constants of this file, durations (in seconds) and fields of clap with a
/// default.
///
/// # Errors
/// What is missing or not understood.
pub(super) fn evaluate(repository: &Path, file: &str, expression: &str) -> Result<f64, String> {
    let path = repository.join(file);
    if !path.is_file() {
        return Err(format!("there is no {file}"));
    }
    let tokens = expression.parse::<TokenStream>().map_err(|error| error.to_string())?;
    let source = Source { files: [tokens_of(&path), tokens_of(&repository.join(LIMITS))] };
    source.evaluate(tokens, 0)
}

/// The number and the unit of a size or a time, such as `512MiB` or `10 s`, in bytes or seconds.
pub(super) fn quantity(text: &str) -> Option<f64> {
    let digits = |char: char| char.is_ascii_digit() || char == '.' || char == ',';
    let end = text.find(|char| !digits(char)).unwrap_or(text.len());
    let number: f64 = text[..end].replace(',', "").parse().ok()?;
    let factor = match text[end..].trim() {
        "" | "B" | "s" => 1.0,
        "kB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        "ms" => 1e-3,
        "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    Some(number * factor)
}

struct Source {
    /// The file of the expression, and that of the limits.
    files: [TokenStream; 2],
}

impl Source {
    fn evaluate(&self, tokens: TokenStream, depth: usize) -> Result<f64, String> {
        if depth > 16 {
            return Err("the constants refer to each other".to_owned());
        }
        let tokens: Vec<_> = tokens.into_iter().collect();
        let mut parser = Parser { source: self, tokens: &tokens, at: 0, depth };
        let value = parser.sum(0)?;
        match tokens.get(parser.at) {
            None => Ok(value),
            Some(token) => Err(format!("`{token}` is not understood")),
        }
    }

    /// The value of a constant or of the default of a field.
    fn named(&self, name: &str, depth: usize) -> Result<f64, String> {
        let value = self.files.iter().find_map(|tokens| find(tokens.clone(), name));
        let value = value.ok_or_else(|| format!("there is no {name}"))?;
        match value {
            Value::Expression(tokens) => self.evaluate(tokens, depth + 1),
            Value::Text(text) => quantity(&text).ok_or_else(|| format!("{text} is no quantity")),
        }
    }
}

enum Value {
    Expression(TokenStream),
    Text(String),
}

/// The value of `const NAME: TYPE = VALUE;`, or of a field with this name: `NAME: VALUE` in a constant, or a default
/// in the attribute before it.
fn find(tokens: TokenStream, name: &str) -> Option<Value> {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let is_mark = |token: &TokenTree, mark: char| matches!(token, TokenTree::Punct(found) if found.as_char() == mark);
    let mut default = None;
    for (index, token) in tokens.iter().enumerate() {
        if let TokenTree::Group(group) = token {
            if index.checked_sub(1).is_some_and(|before| is_mark(&tokens[before], '#')) {
                default = default_in(group.stream());
            } else if let Some(value) = find(group.stream(), name) {
                return Some(value);
            }
        }
        let TokenTree::Ident(ident) = token else { continue };
        let rest = &tokens[index + 1..];
        if ident != name || !rest.first().is_some_and(|next| is_mark(next, ':')) {
            continue;
        }
        let is_constant = index.checked_sub(1).is_some_and(
            |before| matches!(&tokens[before], TokenTree::Ident(word) if word == "const"),
        );
        if is_constant {
            let start = rest.iter().position(|token| is_mark(token, '='))? + 1;
            let value = rest[start..].iter().take_while(|token| !is_mark(token, ';')).cloned();
            return Some(Value::Expression(value.collect()));
        }
        if let Some(value) = default.take() {
            return Some(value);
        }
        let value: Vec<_> =
            rest[1..].iter().take_while(|token| !is_mark(token, ',')).cloned().collect();
        // Not a type.
        if matches!(value.first(), Some(TokenTree::Literal(_))) {
            return Some(Value::Expression(value.into_iter().collect()));
        }
    }
    None
}

/// The default in `[arg(..., default_value = "...")]` or `[arg(..., default_value_t = ...)]`.
fn default_in(attribute: TokenStream) -> Option<Value> {
    let arguments = attribute.into_iter().find_map(|token| match token {
        TokenTree::Group(group) => Some(group.stream()),
        _ => None,
    })?;
    let tokens: Vec<_> = arguments.into_iter().collect();
    tokens.windows(3).find_map(|window| match (window[0].to_string().as_str(), &window[2]) {
        ("default_value", value) => string(&value.to_string()).map(Value::Text),
        ("default_value_t", value) => Some(Value::Expression(value.clone().into())),
        _ => None,
    })
}

struct Parser<'a> {
    source: &'a Source,
    tokens: &'a [TokenTree],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    /// An expression of operators of at least this precedence.
    fn sum(&mut self, precedence: u8) -> Result<f64, String> {
        let mut value = self.atom()?;
        while let Some(TokenTree::Punct(mark)) = self.tokens.get(self.at) {
            let (own, length) = match mark.as_char() {
                '<' => (1, 2),
                '+' | '-' => (2, 1),
                '*' | '/' => (3, 1),
                _ => break,
            };
            if own <= precedence {
                break;
            }
            self.at += length;
            let right = self.sum(own)?;
            value = match mark.as_char() {
                '<' => value * right.exp2(),
                '+' => value + right,
                '-' => value - right,
                '*' => value * right,
                _ => value / right,
            };
        }
        Ok(value)
    }

    fn atom(&mut self) -> Result<f64, String> {
        let token = self.tokens.get(self.at).ok_or("the expression ends early")?;
        self.at += 1;
        let value = match token {
            TokenTree::Literal(literal) => number(&literal.to_string())?,
            TokenTree::Group(group) => self.source.evaluate(group.stream(), self.depth + 1)?,
            TokenTree::Ident(ident) => self.path(ident.to_string())?,
            TokenTree::Punct(mark) => return Err(format!("`{mark}` is not understood")),
        };
        // `as usize`
        if matches!(self.tokens.get(self.at), Some(TokenTree::Ident(word)) if word == "as") {
            self.at += 2;
        }
        Ok(value)
    }

    /// A constant, or a function that makes a duration.
    fn path(&mut self, first: String) -> Result<f64, String> {
        let mut name = first;
        let mut of = String::new();
        while let [TokenTree::Punct(mark), TokenTree::Punct(_), TokenTree::Ident(next), ..] =
            &self.tokens[self.at..]
            && mark.as_char() == ':'
        {
            of = std::mem::replace(&mut name, next.to_string());
            self.at += 3;
        }
        let Some(TokenTree::Group(arguments)) = self.tokens.get(self.at) else {
            return match (of.as_str(), name.as_str()) {
                ("u16", "MAX") => Ok(u16::MAX.into()),
                _ => self.source.named(&name, self.depth),
            };
        };
        self.at += 1;
        let value = self.source.evaluate(arguments.stream(), self.depth + 1)?;
        let seconds = match name.as_str() {
            "from_secs" | "from_secs_f64" => 1.0,
            "from_millis" => 1e-3,
            "from_micros" => 1e-6,
            "from_mins" => 60.0,
            "from_hours" => 3600.0,
            "days" => 86_400.0,
            _ => return Err(format!("the function {name} is not understood")),
        };
        Ok(value * seconds)
    }
}

/// A number with underscores, and perhaps a type at its end.
fn number(literal: &str) -> Result<f64, String> {
    let digits = literal.replace('_', "");
    let end = digits.find(|char: char| !(char.is_ascii_digit() || char == '.'));
    let number = digits[..end.unwrap_or(digits.len())].parse();
    number.map_err(|_| format!("`{literal}` is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::SourceTree;

    const CODE: &str =
        "pub const A: usize = 16 * 1024; const B: Duration = Duration::from_millis(9_250);
        impl C { pub const D: u64 = 1 + 4 << 30; const E: f64 = (A as f64 - 384.0) / 2.0; }
        const F: u8 = limits::A; const G: TimeDelta = TimeDelta::days(1); const H: u8 = H;
        struct Args {
            #[arg(long, default_value = \"512MiB\")] keep_free: u64,
            #[arg(long)] none: u64,
            #[arg(long, default_value_t = 3600, value_parser = x)] timeout: u64,
        }
        const DEFAULT: Cost = Cost { memory_kib: 19 * 1024, passes: 2 };";

    fn value(expression: &str) -> Result<f64, String> {
        let sources = SourceTree::new(&[("server/src/a.rs", CODE)]);
        evaluate(sources.path(), "server/src/a.rs", expression)
    }

    #[test]
    fn expressions_of_constants_and_defaults_have_values() {
        for (expression, expected) in [
            ("A", 16_384.0),
            ("B", 9.25),
            ("D", 5.0 * 1024.0 * 1024.0 * 1024.0),
            ("E", 8000.0),
            ("F + 2 * 3 - 1", 16_389.0),
            ("G", 86_400.0),
            ("keep_free", 512.0 * 1024.0 * 1024.0),
            ("timeout", 3600.0),
            ("memory_kib * 1024", 19.0 * 1024.0 * 1024.0),
            ("12u8", 12.0),
        ] {
            assert_eq!(value(expression), Ok(expected), "{expression}");
        }
    }

    #[test]
    fn what_is_missing_or_not_understood_is_an_error() {
        for expression in ["X", "none", "H", "A +", "A A", "f(1)", "\"text\""] {
            assert!(value(expression).is_err(), "{expression}");
        }
        let sources = SourceTree::new(&[]);
        assert!(evaluate(sources.path(), "server/src/b.rs", "A").is_err());
    }

    #[test]
    fn quantities_have_a_number_and_perhaps_a_unit() {
        for (text, expected) in [
            ("4,096 B", 4096.0),
            ("6.25 MiB", 6_553_600.0),
            ("10 min", 600.0),
            ("30 d", 2_592_000.0),
            ("3", 3.0),
        ] {
            assert_eq!(quantity(text), Some(expected), "{text}");
        }
        assert_eq!(quantity("3 apples"), None);
    }
}
