//! Keeps a Secret's content out of what the API server says about it.

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::run::target::TargetError;

/// How many characters in a row make a quotation.
const QUOTATION: usize = 12;

/// The error, without its message when that quotes the content that was sent. The API server takes
/// care not to, but an admission webhook may put all that it was sent into its refusal.
pub(super) fn without_quotes(mut error: TargetError, content: &SecretString) -> TargetError {
    let content = content.expose_secret();
    let mut texts = vec![STANDARD.encode(content)];
    if let Ok(content) = serde_json::from_str(content) {
        collect(&content, &mut texts);
    }
    if texts.iter().any(|text| quotes(&error.message, text)) {
        let status = error
            .status
            .map(|status| format!("it answered {status}, "))
            .unwrap_or_default();
        error.message = format!("{status}in words that quote the Secret and are left out here");
        error.source = None;
    }
    error
}

/// Every text in the configuration that may be confidential: all but user names and addresses.
fn collect(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Object(fields) => fields
            .iter()
            .filter(|(key, _)| !matches!(key.as_str(), "username" | "email"))
            .for_each(|(_, value)| collect(value, texts)),
        _ => {}
    }
}

fn quotes(message: &str, text: &str) -> bool {
    let letters: Vec<char> = text.chars().collect();
    letters
        .windows(QUOTATION.min(letters.len()).max(1))
        .any(|window| message.contains(&String::from_iter(window)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::kubernetes::failure::changed;

    #[test]
    fn a_message_that_quotes_the_content_in_any_form_is_left_out() {
        let content = r#"{"auths":{"harbor.example.com":{"username":"otomi-team-a-pull","password":"Marker-Secret-1","auth":"b3RvbWk6TWFya2VyLVNlY3JldC0x"}}}"#;
        let secret = SecretString::from(content);
        let told = |message: &str| without_quotes(changed("write it", message), &secret).message;
        let encoded = STANDARD.encode(content);
        for message in [
            "denied: password Marker-Secret-1",
            "auth b3RvbWk6TWFya2VyLVNlY3J…",
            &encoded[20..60],
            content,
        ] {
            assert!(!told(message).contains(message), "{message}");
        }
        let harmless = "no Secret for harbor.example.com and otomi-team-a-pull may be written";
        assert_eq!(told(harmless), harmless);
    }
}
