//! Request bodies as Go reads them: the first JSON value counts and what follows it
//! does not, names are told apart by letters only, null is as good as absent, and
//! what does not fit is reported in the words of Go's decoder.

use serde_json::{Map, Value};

use super::{refusal::Refusal, syntax};
use crate::rehearsal::Request;

/// The type of a field.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    Number,
    Flag,
    Object(&'static Shape),
    List(&'static Shape),
    /// Text to number.
    Numbers,
    /// Not looked at.
    Any,
}

/// The type of an object.
pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) fields: &'static [(&'static str, Kind)],
}

/// An object that fits its shape, nulls left out.
#[derive(Clone, Debug, Default)]
pub(super) struct Body(Map<String, Value>);

impl Body {
    /// Reads a request's body; `parameter` is what the API calls it.
    pub(super) fn read(request: &Request, parameter: &str, shape: &Shape) -> Result<Self, Refusal> {
        let text = String::from_utf8_lossy(&request.body);
        if text.trim().is_empty() {
            return Err(Refusal::invalid(&[format!("{parameter} in body is required")]));
        }
        let failed = |why: String| {
            Refusal::invalid(&[format!(
                "parsing {parameter} body from \"\" failed, because {why}"
            )])
        };
        let value = serde_json::Deserializer::from_str(&text)
            .into_iter::<Value>()
            .next();
        let Some(Ok(value)) = value else {
            return Err(failed(syntax::complaint(&text)));
        };
        match value {
            Value::Null => Ok(Self::default()),
            Value::Object(map) => fit(map, shape, &mut Vec::new()).map(Self).map_err(failed),
            other => Err(failed(format!(
                "json: cannot unmarshal {} into Go value of type models.{}",
                word(&other),
                shape.name
            ))),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn number(&self, name: &str) -> i64 {
        self.0.get(name).and_then(Value::as_i64).unwrap_or_default()
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or_default()
    }

    pub(super) fn object(&self, name: &str) -> Self {
        Self(
            self.0
                .get(name)
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
        )
    }

    /// A list of objects, none for each null in it.
    pub(super) fn list(&self, name: &str) -> Vec<Option<Self>> {
        let values = self
            .0
            .get(name)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        values
            .into_iter()
            .map(|value| value.as_object().cloned().map(Self))
            .collect()
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0.iter()
    }
}

fn word(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn fit(
    map: Map<String, Value>,
    shape: &Shape,
    path: &mut Vec<&'static str>,
) -> Result<Map<String, Value>, String> {
    let mut fitted = Map::new();
    for (key, value) in map {
        let field = shape
            .fields
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(&key));
        let Some((name, kind)) = field else { continue };
        if value.is_null() {
            continue;
        }
        path.push(name);
        let value = fit_value(value, *kind, shape, path)?;
        path.pop();
        fitted.insert((*name).to_owned(), value);
    }
    Ok(fitted)
}

fn fit_value(value: Value, kind: Kind, shape: &Shape, path: &mut Vec<&'static str>) -> Result<Value, String> {
    let misfit = |value: &Value, wanted: &str, path: &[&str]| {
        let found = match value {
            Value::Number(number) if wanted == "int64" => format!("number {number}"),
            other => word(other).to_owned(),
        };
        Err(format!(
            "json: cannot unmarshal {found} into Go struct field {}.{} of type {wanted}",
            shape.name,
            path.join(".")
        ))
    };
    match (kind, value) {
        (Kind::Any, value) => Ok(value),
        (Kind::Text, value) if value.is_string() => Ok(value),
        (Kind::Text, value) => misfit(&value, "string", path),
        (Kind::Number, value) if value.is_i64() => Ok(value),
        (Kind::Number, value) => misfit(&value, "int64", path),
        (Kind::Flag, value) if value.is_boolean() => Ok(value),
        (Kind::Flag, value) => misfit(&value, "bool", path),
        (Kind::Object(inner), Value::Object(map)) => fit(map, inner, path).map(Value::Object),
        (Kind::Object(inner), value) => misfit(&value, &format!("models.{}", inner.name), path),
        (Kind::List(inner), Value::Array(values)) => {
            let fit_one = |value| match value {
                Value::Object(map) => fit(map, inner, path).map(Value::Object),
                Value::Null => Ok(Value::Null),
                value => misfit(&value, &format!("models.{}", inner.name), path),
            };
            values
                .into_iter()
                .map(fit_one)
                .collect::<Result<_, _>>()
                .map(Value::Array)
        }
        (Kind::List(inner), value) => misfit(&value, &format!("[]*models.{}", inner.name), path),
        (Kind::Numbers, Value::Object(map)) => match map.values().find(|value| !value.is_i64()) {
            Some(value) => misfit(value, "int64", path),
            None => Ok(Value::Object(map)),
        },
        (Kind::Numbers, value) => misfit(&value, "map[string]int64", path),
    }
}
