//! Whether a login works, asked where `docker login` asks.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::answer::receive;
use super::failure::strange;
use super::transport::HarborClient;
use super::wire::TokenAnswer;
use crate::plan::docker_config::Login;
use crate::plan::observed::LoginProof;
use crate::run::target::{ErrorClass, TargetError};
use crate::values::names::ProjectName;

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    sub: String,
}

impl HarborClient {
    /// Asks the token service with the login's own Basic header, apart from our session. A wrong password
    /// is answered with 200 and an anonymous token, so the token's subject tells.
    pub(super) async fn prove(
        &self,
        project: &ProjectName,
        login: &Login,
    ) -> Result<LoginProof, TargetError> {
        let act = format!("issue a token to {}", login.username);
        let _permit = self.read_permit(&act).await?;
        let request = self
            .wire
            .request(reqwest::Method::GET, self.wire.root(&["service", "token"]))
            .query(&[
                ("service", "harbor-registry"),
                ("scope", &format!("repository:{project}/harborage:pull")),
            ])
            .basic_auth(&login.username, Some(login.password.expose_secret()));
        let answer = match receive(
            &self.wire,
            &act,
            request,
            "GET",
            &["service", "token"],
            Some(&login.password),
        )
        .await
        {
            // A disabled or expired robot is told so in some versions.
            Err(error) if error.class == ErrorClass::Auth && error.status == Some(401) => {
                return Ok(LoginProof::Refused);
            }
            answer => answer?,
        };
        let answer: TokenAnswer = answer.json(&act)?;
        let claims = claims(&answer.token).ok_or_else(|| strange(&act, "its token can't be read"))?;
        Ok(if claims.sub == login.username {
            LoginProof::Accepted
        } else {
            LoginProof::Refused
        })
    }
}

/// The claims of a token. Its signature is not checked: we ask Harbor what it thinks of a login, over the
/// connection that we trust with the administrator's password.
fn claims(token: &SecretString) -> Option<Claims> {
    let payload = token.expose_secret().split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}
