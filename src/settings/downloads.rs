//! Whose tokens are taken for the download of push logins.

use std::time::Duration;

use super::{Settings, SettingsError, duration, read_optional};

/// Whose tokens are taken, and how their issuer's keys are read.
#[derive(Debug, Clone, Default)]
pub struct DownloadSettings {
    /// The issuer, instead of the repository's.
    pub issuer: Option<String>,
    /// The audience, instead of the repository's client id.
    pub audience: Option<String>,
    /// PEM of certificate authorities to trust beside the system's.
    pub ca: Option<Vec<u8>>,
    /// Whether ID tokens are taken, too.
    pub id_tokens: bool,
    /// How long one call may take.
    pub timeout: Duration,
}

impl Settings {
    /// Whose tokens are taken for downloads.
    ///
    /// # Errors
    /// When the issuer is no URL, or a file can't be read.
    pub fn downloads(&self) -> Result<DownloadSettings, SettingsError> {
        let said = &self.said;
        if let Some(issuer) = &said.oidc_issuer {
            let url = url::Url::parse(issuer).ok();
            url.filter(|url| matches!(url.scheme(), "https" | "http"))
                .filter(|url| url.query().is_none() && url.fragment().is_none())
                .ok_or_else(|| SettingsError::Value {
                    name: "oidc-issuer",
                    value: issuer.clone(),
                    hint: "an https or http URL, exactly as tokens have it in iss".to_owned(),
                })?;
        }
        Ok(DownloadSettings {
            issuer: said.oidc_issuer.clone(),
            audience: said.oidc_audience.clone(),
            ca: read_optional("the OIDC CA file", said.oidc_ca_file.as_deref())?,
            id_tokens: said.oidc_id_tokens.unwrap_or(false),
            timeout: duration(
                "call-timeout",
                said.call_timeout.as_deref(),
                Duration::from_secs(30),
            )?,
        })
    }
}
