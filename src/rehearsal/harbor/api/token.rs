//! The registry's token service, and its front door.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json as value};
use sha2::{Digest, Sha256};

use super::{
    Ask, json,
    refusal::{Outcome, Refusal},
};
use crate::rehearsal::{
    Answer,
    harbor::{SigningKey, state::State},
};

/// Who signs the tokens, and what they are for.
const ISSUER: &str = "harbor-token-issuer";
const SERVICE: &str = "harbor-registry";
/// What signs them where no key was given. It proves nothing to anybody else.
const KEY: &[u8; 32] = b"the rehearsal's registry, signed";

/// Gives a token to whoever asks for a scope: a wrong password too gets one, which
/// holds only what everybody may do.
pub(super) fn issue(ask: &Ask, state: &State) -> Outcome {
    let service = ask.parameter("service");
    if service != SERVICE {
        return Err(Refusal::bad_request(format!(
            "Unable to handle service: {service}"
        )));
    }
    let scopes: Vec<&str> = ask
        .query
        .iter()
        .filter(|(key, _)| key == "scope")
        .flat_map(|(_, value)| value.split(' '))
        .filter(|scope| !scope.is_empty())
        .collect();
    if !ask.who.is_authenticated() && scopes.is_empty() {
        return Err(Refusal::unauthorized());
    }
    let access: Vec<Value> = scopes.iter().map(|scope| granted(ask, state, scope)).collect();
    let minutes = state.settings().number("token_expiration");
    let issued = ask.now.timestamp();
    let claims = value!({
        "iss": ISSUER,
        "sub": ask.who.name(),
        "aud": SERVICE,
        "exp": issued + minutes * 60,
        "nbf": issued,
        "iat": issued,
        "jti": format!("{:016x}", rand::random::<u64>()),
        "access": access,
    });
    let token = sign(ask.environment.signing_key.as_ref(), &claims)?;
    let body = value!({
        "token": token,
        "access_token": "",
        "expires_in": minutes * 60,
        "issued_at": ask.now.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
    });
    let answer = json(200, &body);
    Ok(Answer {
        headers: Vec::new(),
        ..answer.clone()
    }
    .body("application/json; charset=utf-8", answer.body))
}

/// What of a scope `type:name:actions` may be done. The actions asked for are not
/// looked at: all that are granted are named.
fn granted(ask: &Ask, state: &State, scope: &str) -> Value {
    let mut parts = scope.splitn(2, ':');
    let kind = parts.next().unwrap_or_default();
    let rest = parts.next().unwrap_or_default();
    let (name, asked) = rest.rsplit_once(':').unwrap_or((rest, ""));
    let mut actions: Vec<&str> = Vec::new();
    if kind == "repository" {
        let project = name
            .split_once('/')
            .and_then(|(project, _)| state.project_named(project));
        if project.is_some() {
            let can = |action: &&str| ask.who.can_in(state, project, "repository", action);
            actions = ["pull", "push", "delete"].into_iter().filter(can).collect();
            if ask.who.is_sysadmin() {
                actions.push("scanner-pull");
            }
            if ["pull", "push", "delete"]
                .iter()
                .all(|action| actions.contains(action))
            {
                actions.push("*");
            }
        }
    } else if kind == "registry" && name == "catalog" && ask.who.is_sysadmin() {
        actions = asked.split(',').filter(|action| !action.is_empty()).collect();
    }
    value!({"type": kind, "name": name, "actions": actions})
}

/// A token of the usual three parts, signed by RS256 if there is a key for it.
fn sign(key: Option<&SigningKey>, claims: &Value) -> Result<String, Refusal> {
    let header = match key {
        None => value!({"alg": "HS256", "typ": "JWT"}),
        Some(key) => value!({"alg": "RS256", "kid": key.id(), "typ": "JWT"}),
    };
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(&header), encode(claims));
    let signature = signature(key, &signed)?;
    Ok(format!("{signed}.{signature}"))
}

fn signature(key: Option<&SigningKey>, signed: &str) -> Result<String, Refusal> {
    let signature = match key {
        None => hmac(signed.as_bytes()).to_vec(),
        Some(key) => key.sign(signed.as_bytes()).map_err(|_| Refusal::internal())?,
    };
    Ok(URL_SAFE_NO_PAD.encode(signature))
}

fn hmac(message: &[u8]) -> [u8; 32] {
    let pad = |byte: u8| {
        let mut block = [byte; 64];
        for (place, key) in block.iter_mut().zip(KEY) {
            *place ^= key;
        }
        block
    };
    let inner = Sha256::new()
        .chain_update(pad(0x36))
        .chain_update(message)
        .finalize();
    Sha256::new()
        .chain_update(pad(0x5c))
        .chain_update(inner)
        .finalize()
        .into()
}

/// Whether this is a token of ours that is still good. Both ways to sign give a
/// message the same signature each time.
fn is_good(key: Option<&SigningKey>, token: &str, now: i64) -> bool {
    let Some((signed, signed_by)) = token.rsplit_once('.') else {
        return false;
    };
    let claims = signed
        .split_once('.')
        .and_then(|(_, claims)| URL_SAFE_NO_PAD.decode(claims).ok());
    let claims: Option<Value> = claims.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    claims.is_some_and(|claims| claims["exp"].as_i64().is_some_and(|end| now < end))
        && signature(key, signed).is_ok_and(|signature| signature == signed_by)
}

/// `/v2/`: a client asks whether it is signed in, and is told where to do that.
pub(super) fn greet(ask: &Ask) -> Answer {
    let authorization = ask.request.header("authorization").unwrap_or_default();
    let bearer = authorization.strip_prefix("Bearer ").unwrap_or_default();
    if ask.who.is_authenticated()
        || is_good(ask.environment.signing_key.as_ref(), bearer, ask.now.timestamp())
    {
        let answer = Answer::new(200).body("application/json; charset=utf-8", "{}");
        return answer.header("docker-distribution-api-version", "registry/2.0");
    }
    let challenge = if authorization.is_empty() {
        format!(
            "Bearer realm=\"{}/service/token\",service=\"{SERVICE}\"",
            ask.environment.external_url
        )
    } else {
        "Basic realm=\"harbor\"".to_owned()
    };
    let answer = Refusal::unauthorized().into_answer();
    answer
        .header("docker-distribution-api-version", "registry/2.0")
        .header("www-authenticate", challenge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_token_that_was_signed_here_and_has_time_left_is_good() {
        let pem = include_bytes!("../../../../fixtures/harbor/worthless-key.pem");
        let key = SigningKey::from_pem(pem).unwrap();
        for (key, other) in [(None, Some(&key)), (Some(&key), None)] {
            let token = sign(key, &value!({"exp": 100})).unwrap();
            assert!(is_good(key, &token, 99));
            assert!(!is_good(key, &token, 100));
            assert!(!is_good(key, &format!("{token}x"), 99));
            assert!(!is_good(other, &token, 99));
            assert!(!is_good(key, "a.b.c", 0));
        }
    }
}
