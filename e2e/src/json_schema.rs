//! The objects that docs/json.md describes: their fields and types, and whether an object has them. Knows no command.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

/// Begins a row that includes the fields of another object.
const ALL_OF: &str = "all of [";

/// A field of a described object.
#[derive(Debug, Clone)]
struct Field {
    /// `string`, `array of strings` and so on.
    kind: String,
    may_be_null: bool,
    is_optional: bool,
}

/// A described object.
#[derive(Debug, Default)]
struct Object {
    fields: BTreeMap<String, Field>,
    /// Headings of objects whose fields it has, too.
    included: Vec<String>,
    examples: Vec<Value>,
}

/// All objects of the document, by heading.
#[derive(Debug)]
pub struct JsonSchema {
    objects: BTreeMap<String, Object>,
}

impl JsonSchema {
    /// Reads docs/json.md.
    ///
    /// # Panics
    /// If it does not have the expected form.
    #[must_use]
    pub fn read() -> Self {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        Self::parse(&fs::read_to_string(repository.join("docs/json.md")).unwrap())
    }

    fn parse(text: &str) -> Self {
        let mut objects: BTreeMap<String, Object> = BTreeMap::new();
        let mut heading = String::new();
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("### ") {
                name.clone_into(&mut heading);
                let is_new = objects.insert(heading.clone(), Object::default()).is_none();
                assert!(is_new, "{heading} is described twice");
            } else if line.starts_with("## ") {
                heading.clear();
            } else if let Some(object) = objects.get_mut(&heading) {
                object.read_line(line);
            }
        }
        Self { objects }
    }

    /// The headings.
    #[must_use]
    pub fn headings(&self) -> BTreeSet<String> {
        self.objects.keys().cloned().collect()
    }

    /// The heading of an object with an `event`; others have the heading that the caller expects.
    #[must_use]
    pub fn heading_of(object: &Value, expected: &str) -> String {
        object["event"].as_str().unwrap_or(expected).to_owned()
    }

    /// Compares an object with its description.
    ///
    /// # Errors
    /// What differs: a field that is missing, that has another type, or that is not described.
    pub fn check(&self, heading: &str, object: &Value) -> Result<(), String> {
        let failed = |what: String| Err(format!("{heading}: {what}: {object}"));
        if !self.objects.contains_key(heading) {
            return failed("is not described".to_owned());
        }
        let described = self.fields(heading);
        let mut found = Vec::new();
        flatten("", object, &described, &mut found);
        for (name, value) in &found {
            match described.get(name) {
                None => return failed(format!("{name} is not described")),
                Some(field) if !field.accepts(value) => {
                    return failed(format!("{name} is no {}", field.kind));
                }
                Some(_) => {}
            }
        }
        let has = |name: &String| found.iter().any(|(found, _)| found == name);
        let is_in_empty_array = |name: &String| {
            let array = name.split_once("[].").map(|(array, _)| &object[array]);
            array.is_some_and(|array| array.as_array().is_some_and(Vec::is_empty))
        };
        let is_in_null = |name: &String| {
            let outer = name.rsplit_once('.').map(|(outer, _)| outer);
            found.iter().any(|(found, value)| Some(found.as_str()) == outer && value.is_null())
        };
        let missing = described.iter().find(|(name, field)| {
            !field.is_optional && !has(name) && !is_in_empty_array(name) && !is_in_null(name)
        });
        match missing {
            Some((name, _)) => failed(format!("{name} is missing")),
            None => Ok(()),
        }
    }

    /// Compares each example with the description above it.
    ///
    /// # Errors
    /// What differs, or that there is no example.
    pub fn check_examples(&self) -> Result<(), String> {
        for (heading, object) in &self.objects {
            if object.examples.is_empty() {
                return Err(format!("{heading} has no example"));
            }
            for example in &object.examples {
                if let Some(event) = example["event"].as_str()
                    && event != heading
                {
                    return Err(format!("{heading} has an example of {event}"));
                }
                self.check(heading, example)?;
            }
        }
        Ok(())
    }

    fn fields(&self, heading: &str) -> BTreeMap<String, Field> {
        let object = &self.objects[heading];
        let mut fields = object.fields.clone();
        for included in &object.included {
            fields.extend(self.fields(included));
        }
        fields
    }
}

impl Object {
    fn read_line(&mut self, line: &str) {
        if line.starts_with('{') {
            self.examples.push(serde_json::from_str(line).unwrap());
            return;
        }
        let Some(row) = line.strip_prefix("| ") else { return };
        let cells: Vec<_> = row.trim_end_matches(" |").split(" | ").map(str::trim).collect();
        if let Some(name) = cells[0].strip_prefix(ALL_OF) {
            let name = name.split(']').next().unwrap();
            let capital = name[..1].to_uppercase();
            self.included.push(capital + &name[1..]);
            return;
        }
        // The table of codes has no types.
        if cells[0] == "field" || cells.len() != 3 {
            return;
        }
        let name = cells[0].trim_matches('`').to_owned();
        let (kind, is_optional) = match cells[1].strip_suffix(", optional") {
            Some(kind) => (kind, true),
            None => (cells[1], false),
        };
        let (kind, may_be_null) = match kind.strip_suffix(" or null") {
            Some(kind) => (kind, true),
            None => (kind, false),
        };
        self.fields.insert(name, Field { kind: kind.to_owned(), may_be_null, is_optional });
    }
}

impl Field {
    fn accepts(&self, value: &Value) -> bool {
        let all =
            |wanted: fn(&Value) -> bool| value.as_array().is_some_and(|all| all.iter().all(wanted));
        match self.kind.as_str() {
            _ if value.is_null() => self.may_be_null,
            "string" => value.is_string(),
            "integer" => value.is_u64(),
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            "object" => value.is_object(),
            "array of strings" => all(Value::is_string),
            "array of objects" => all(Value::is_object),
            kind => panic!("{kind} is no type"),
        }
    }
}

/// The fields of an object by the names that the document has for them: `a.b`, or `a[].b` for each object in an array.
/// An array that is described as a whole is one field, and an object too, unless fields of it are described as well.
fn flatten(
    prefix: &str,
    value: &Value,
    described: &BTreeMap<String, Field>,
    found: &mut Vec<(String, Value)>,
) {
    for (key, value) in value.as_object().unwrap() {
        let name = format!("{prefix}{key}");
        match value {
            _ if described.contains_key(&name) => {
                found.push((name.clone(), value.clone()));
                let prefix = format!("{name}.");
                if value.is_object() && described.keys().any(|name| name.starts_with(&prefix)) {
                    flatten(&prefix, value, described, found);
                }
            }
            Value::Object(_) => flatten(&format!("{name}."), value, described, found),
            Value::Array(items) if items.iter().all(Value::is_object) => {
                for item in items {
                    flatten(&format!("{name}[]."), item, described, found);
                }
            }
            _ => found.push((name, value.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TEXT: &str = "## A\n### One\n\n| field | type | meaning |\n|---|---|---|\n| `a` | integer | x |\n\
        | `b` | string or null | x |\n| `c` | boolean, optional | x |\n| `d.e` | integer | x |\n\
        | `f[].g` | string | x |\n| `h` | object or null | x |\n| `h.i` | integer | x |\n```json\n{\"a\":1}\n```\n### Two\n| all of [one](#one) | | |\n";

    #[test]
    fn an_object_has_exactly_the_described_fields_with_their_types() {
        let schema = JsonSchema::parse(TEXT);
        let good = json!({"a": 1, "b": null, "d": {"e": 1}, "f": [{"g": "x"}], "h": {"i": 1}});
        assert_eq!(schema.check("One", &good), Ok(()));
        assert_eq!(schema.check("Two", &good), Ok(()));
        let with = |name: &str, value: Value| {
            let mut object = good.clone();
            object[name] = value;
            schema
                .check("One", &object)
                .map_err(|problem| problem.split(": ").nth(1).unwrap().to_owned())
        };
        assert_eq!(with("c", json!(true)), Ok(()));
        assert_eq!(with("f", json!([])), Ok(()));
        assert_eq!(with("h", json!(null)), Ok(()));
        let problem = |text: &str| Err(text.to_owned());
        assert_eq!(with("a", json!("1")), problem("a is no integer"));
        assert_eq!(with("a", json!(null)), problem("a is no integer"));
        assert_eq!(with("a", json!(-1)), problem("a is no integer"));
        assert_eq!(with("x", json!(1)), problem("x is not described"));
        assert_eq!(with("d", json!({})), problem("d.e is missing"));
        assert_eq!(with("h", json!({})), problem("h.i is missing"));
        assert_eq!(with("h", json!({"i": 1, "j": 1})), problem("h.j is not described"));
        assert_eq!(with("f", json!([{"g": "x", "h": 1}])), problem("f[].h is not described"));
        assert!(schema.check("Three", &good).is_err());
        assert!(schema.check_examples().is_err());
    }
}
