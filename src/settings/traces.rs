//! Where spans are sent.

use url::Url;

use super::{Settings, SettingsError};

impl Settings {
    /// The collector that spans are sent to; `None` for nowhere.
    ///
    /// # Errors
    /// When it is no plain http or https URL.
    pub fn otlp_endpoint(&self) -> Result<Option<Url>, SettingsError> {
        let Some(text) = &self.said.otlp_endpoint else {
            return Ok(None);
        };
        let url = Url::parse(text).ok().filter(|url| {
            let has_login = !url.username().is_empty() || url.password().is_some();
            matches!(url.scheme(), "http" | "https") && url.host().is_some() && !has_login
        });
        match url {
            Some(url) => Ok(Some(url)),
            // The text is not quoted: it may hold a login.
            None => Err(SettingsError::Value {
                name: "otlp-endpoint",
                value: "that".to_owned(),
                hint: "give an http or https URL without a login, such as http://collector:4318".to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Said, SecretVariables};

    fn endpoint(text: &str) -> Result<Option<Url>, SettingsError> {
        let said = Said {
            otlp_endpoint: Some(text.to_owned()),
            ..Said::default()
        };
        Settings::load(said, None, SecretVariables::default())
            .unwrap()
            .otlp_endpoint()
    }

    #[test]
    fn spans_go_to_a_plain_url_and_a_login_in_it_is_not_told() {
        assert!(endpoint("http://collector:4318").unwrap().is_some());
        for wrong in [
            "collector:4318",
            "grpc://collector:4317",
            "https://me:hunter2@collector",
        ] {
            let error = endpoint(wrong).unwrap_err().to_string();
            assert!(
                error.contains("otlp-endpoint") && !error.contains("hunter2"),
                "{error}"
            );
        }
    }
}
