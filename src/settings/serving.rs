//! Where the daemon listens.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::{Settings, SettingsError};

/// Where the daemon listens, and what it is told by.
#[derive(Debug, Clone, Default)]
pub struct ServeSettings {
    /// Webhooks and the API; nowhere, where nothing is said.
    pub listen: Option<SocketAddr>,
    /// Metrics and health; nowhere, where nothing is said.
    pub metrics_listen: Option<SocketAddr>,
    /// The file with the secrets of webhooks, one a line.
    pub webhook_secrets: Option<PathBuf>,
}

impl Settings {
    /// Where the daemon listens.
    ///
    /// # Errors
    /// When an address is none.
    pub fn serving(&self) -> Result<ServeSettings, SettingsError> {
        Ok(ServeSettings {
            listen: address("listen", self.said.listen.as_deref())?,
            metrics_listen: address("metrics-listen", self.said.metrics_listen.as_deref())?,
            webhook_secrets: self.said.webhook_secret_file.clone(),
        })
    }
}

fn address(name: &'static str, given: Option<&str>) -> Result<Option<SocketAddr>, SettingsError> {
    let Some(text) = given else { return Ok(None) };
    text.parse().map(Some).map_err(|_| SettingsError::Value {
        name,
        value: text.to_owned(),
        hint: "an address and a port, such as 0.0.0.0:8080 or [::]:8080".to_owned(),
    })
}
