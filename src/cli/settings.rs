//! `harborage settings`: which settings hold, and where each comes from.

use clap::Args;
use clap::parser::ValueSource;
use serde_json::{Map, Value, json};

use super::{AllSettings, CliError, Exit, Invocation, output};
use crate::settings::{Said, SecretVariables};

/// Print the settings that hold, with secrets masked, and where each comes from
#[derive(Debug, Args)]
#[command(after_help = "\
Example: harborage settings --config harborage.yaml
         HARBORAGE_POLL=10s harborage settings --json")]
pub(super) struct SettingsArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: AllSettings,
}

pub(super) fn settings(arguments: SettingsArgs, invocation: &Invocation) -> Result<Exit, CliError> {
    let settings = invocation.settings(arguments.settings.into())?;
    // Values that can't be are told here, not at the first use.
    settings.source()?;
    settings.kubernetes()?;
    settings.downloads()?;
    settings.run()?;
    let rows = rows(&settings.said, invocation)?;
    if arguments.json {
        let object: Map<String, Value> = rows
            .into_iter()
            .map(|row| (row.name, json!({"value": row.value, "from": row.from})))
            .collect();
        output::print(&serde_json::to_string_pretty(&object)?)?;
    } else {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_header(["setting", "value", "from"]);
        for row in rows {
            let value = match &row.value {
                Value::Null => "-".to_owned(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            table.add_row([row.name, value, row.from.to_owned()]);
        }
        output::print(&table.trim_fmt())?;
    }
    Ok(Exit::Success)
}

struct Row {
    name: String,
    value: Value,
    from: &'static str,
}

fn rows(said: &Said, invocation: &Invocation) -> Result<Vec<Row>, CliError> {
    let Value::Object(values) = serde_json::to_value(said)? else {
        return Ok(Vec::new());
    };
    let mut rows: Vec<Row> = Said::NAMES
        .iter()
        .map(|(id, name, _)| {
            let value = values.get(*name).cloned();
            let from = match invocation.matches.value_source(id) {
                Some(ValueSource::CommandLine) => "flag",
                Some(ValueSource::EnvVariable) => "environment",
                _ if value.is_some() => "file",
                _ => "default",
            };
            let value = value.or_else(|| default_of(name)).unwrap_or(Value::Null);
            Row {
                name: (*name).to_owned(),
                value,
                from,
            }
        })
        .collect();
    rows.extend(masked(&invocation.environment.secrets));
    Ok(rows)
}

/// The values that hold where nothing is said.
fn default_of(name: &str) -> Option<Value> {
    crate::settings::DEFAULTS
        .iter()
        .find(|(of, _)| *of == name)
        .map(|(_, value)| Value::from(*value))
}

/// Secrets that came by the environment: that they are there, never what they are.
fn masked(secrets: &SecretVariables) -> impl Iterator<Item = Row> {
    [
        ("HARBORAGE_HARBOR_PASSWORD", secrets.harbor_password.is_some()),
        (
            "HARBORAGE_OIDC_CLIENT_SECRET",
            secrets.oidc_client_secret.is_some(),
        ),
    ]
    .into_iter()
    .map(|(name, set)| Row {
        name: name.to_owned(),
        value: if set { Value::from("********") } else { Value::Null },
        from: if set { "environment" } else { "default" },
    })
}
