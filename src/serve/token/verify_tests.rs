use std::sync::LazyLock;

use proptest::prelude::*;
use ring::hmac;
use serde_json::{Value, json};

use super::issuer_fake::{AUDIENCE, ISSUER, NOW, Pair, SigningKey, claims, document, encode, now, policy};
use super::*;

static RSA: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::rsa("rsa"));
static P256: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::p256("p256"));
static KEYS: LazyLock<KeySet> = LazyLock::new(|| KeySet::parse(&document(&[RSA.jwk(), P256.jwk()])).unwrap());

fn judge(token: &str) -> Result<Claims, Refusal> {
    verify(token, &KEYS, &policy(), now())
}

/// The verdict on a token whose claims differ in these; `null` takes one away.
fn judge_with(changes: &Value) -> Result<Claims, Refusal> {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    judge(&RSA.token("RS256", &claims))
}

#[test]
fn a_good_token_of_each_algorithm_tells_who_brings_it() {
    let who = Claims {
        subject: "3d6f".to_owned(),
        username: "ann".to_owned(),
        groups: vec!["team-blue".to_owned()],
    };
    for (key, algorithm) in [(&*RSA, "RS256"), (&*RSA, "PS256"), (&*P256, "ES256")] {
        assert_eq!(
            judge(&key.token(algorithm, &claims())),
            Ok(who.clone()),
            "{algorithm}"
        );
    }
    let nameless = judge_with(&json!({"preferred_username": null, "groups": null, "aud": AUDIENCE})).unwrap();
    assert_eq!((nameless.username.as_str(), nameless.groups.len()), ("3d6f", 0));
}

#[test]
fn a_token_without_a_signature_is_refused() {
    for algorithm in ["none", "None", "NONE", ""] {
        let header = json!({"alg": algorithm, "kid": "rsa"}).to_string();
        let token = format!("{}.{}.", encode(header), encode(claims().to_string()));
        assert_eq!(judge(&token), Err(Refusal::Algorithm), "{algorithm}");
    }
    let token = RSA.token("RS256", &claims());
    let cut = token.rsplit_once('.').unwrap().0;
    assert_eq!(judge(&format!("{cut}.")), Err(Refusal::Signature));
    assert_eq!(judge(cut), Err(Refusal::Malformed));
}

#[test]
fn the_public_key_is_no_shared_secret() {
    let Pair::Rsa(pair) = &RSA.pair else { panic!() };
    let public = ring::signature::KeyPair::public_key(pair).as_ref();
    let signed = format!(
        "{}.{}",
        encode(json!({"alg": "HS256", "kid": "rsa"}).to_string()),
        encode(claims().to_string())
    );
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, public), signed.as_bytes());
    assert_eq!(
        judge(&format!("{signed}.{}", encode(tag))),
        Err(Refusal::Algorithm)
    );
}

#[test]
fn a_key_serves_no_algorithm_but_its_own() {
    assert_eq!(
        judge(&RSA.token_with(&json!({"alg": "ES256", "kid": "rsa"}), &claims())),
        Err(Refusal::Algorithm)
    );
    for algorithm in ["RS256", "PS256"] {
        let token = P256.token_with(&json!({"alg": algorithm, "kid": "p256"}), &claims());
        assert_eq!(judge(&token), Err(Refusal::Algorithm));
    }
    // A key that names its algorithm serves that alone, and one that names another serves none.
    let naming = |algorithm: &str| {
        let mut key = RSA.jwk();
        key["alg"] = json!(algorithm);
        KeySet::parse(&document(&[key]))
    };
    let keys = naming("RS256").unwrap();
    let judged = |algorithm| verify(&RSA.token(algorithm, &claims()), &keys, &policy(), now());
    assert!(judged("RS256").is_ok());
    assert_eq!(judged("PS256"), Err(Refusal::Algorithm));
    for other in ["RSA-OAEP", "RS512", "none"] {
        assert_eq!(naming(other).unwrap_err(), KeySetError::Empty);
    }
}

#[test]
fn a_changed_token_is_refused() {
    let token = RSA.token("RS256", &claims());
    let [header, _, signature] = token.split('.').collect::<Vec<_>>()[..] else {
        panic!()
    };
    let mut admin = claims();
    admin["groups"] = json!(["platform-admin"]);
    let changed = format!("{header}.{}.{signature}", encode(admin.to_string()));
    assert_eq!(judge(&changed), Err(Refusal::Signature));
    // Another key under the name of ours.
    assert_eq!(
        judge(&SigningKey::p256("p256").token("ES256", &claims())),
        Err(Refusal::Signature)
    );
}

#[test]
fn a_token_names_a_key_that_the_issuer_publishes() {
    assert_eq!(
        judge(&SigningKey::p256("another").token("ES256", &claims())),
        Err(Refusal::UnknownKey)
    );
    // Without a name it would be tried with every key; keys of its own, or elsewhere, are never looked at.
    for header in [
        json!({"alg": "RS256"}),
        json!({"alg": "RS256", "jwk": RSA.jwk()}),
        json!({"alg": "RS256", "jku": "https://evil.example.com/keys"}),
    ] {
        assert_eq!(
            judge(&RSA.token_with(&header, &claims())),
            Err(Refusal::Malformed)
        );
    }
}

#[test]
fn a_header_that_demands_what_we_do_not_know_is_refused() {
    for critical in [json!(["exp"]), json!(["b64"]), json!([]), json!(null), json!("x")] {
        let header = json!({"alg": "RS256", "kid": "rsa", "crit": critical});
        assert_eq!(judge(&RSA.token_with(&header, &claims())), Err(Refusal::Critical));
    }
}

#[test]
fn another_issuer_is_refused_however_alike() {
    for issuer in [
        json!("https://evil.example.com"),
        json!(format!("{ISSUER}/")),
        json!(ISSUER.to_uppercase()),
        json!(""),
    ] {
        assert_eq!(judge_with(&json!({"iss": issuer})), Err(Refusal::Issuer));
    }
    for issuer in [json!([ISSUER]), json!(null), json!(1)] {
        assert_eq!(judge_with(&json!({"iss": issuer})), Err(Refusal::Malformed));
    }
}

#[test]
fn a_token_for_somebody_else_is_refused_even_where_our_client_asked_for_it() {
    for audience in [json!("account"), json!(["account"]), json!([]), json!("Otomi")] {
        assert_eq!(judge_with(&json!({"aud": audience})), Err(Refusal::Audience));
    }
    assert_eq!(judge_with(&json!({"aud": null})), Err(Refusal::Malformed));
}

#[test]
fn only_access_tokens_are_taken_and_id_tokens_where_that_is_asked_for() {
    for kind in ["ID", "Refresh", "Offline", "Logout", "bearer", ""] {
        assert_eq!(judge_with(&json!({"typ": kind})), Err(Refusal::Kind), "{kind}");
    }
    assert_eq!(judge_with(&json!({"typ": null})), Err(Refusal::Kind));
    let lenient = Policy {
        id_tokens: true,
        ..policy()
    };
    let judged = |kind| {
        let mut claims = claims();
        claims["typ"] = json!(kind);
        verify(&RSA.token("RS256", &claims), &KEYS, &lenient, now())
    };
    assert!(judged("ID").is_ok() && judged("Bearer").is_ok());
    assert_eq!(judged("Refresh"), Err(Refusal::Kind));
}

#[test]
fn time_is_kept_with_half_a_minute_of_skew() {
    assert!(judge_with(&json!({"exp": NOW - 29})).is_ok());
    assert_eq!(judge_with(&json!({"exp": NOW - 30})), Err(Refusal::Expired));
    assert!(judge_with(&json!({"nbf": NOW + 30})).is_ok());
    assert_eq!(judge_with(&json!({"nbf": NOW + 31})), Err(Refusal::NotYet));
    assert!(judge_with(&json!({"exp": i64::MAX, "nbf": i64::MIN})).is_ok());
    assert_eq!(judge_with(&json!({"exp": i64::MIN})), Err(Refusal::Expired));
    for time in [
        json!(null),
        json!("1900000000"),
        json!(1e300),
        json!(u64::MAX),
        json!(true),
    ] {
        assert_eq!(
            judge_with(&json!({"exp": time})),
            Err(Refusal::Malformed),
            "{time}"
        );
    }
}

#[test]
fn a_claim_of_another_type_is_refused() {
    for changes in [
        json!({"sub": null}),
        json!({"sub": ""}),
        json!({"groups": "platform-admin"}),
        json!({"groups": [1]}),
        json!({"preferred_username": ["ann"]}),
    ] {
        assert_eq!(judge_with(&changes), Err(Refusal::Malformed), "{changes}");
    }
}

#[test]
fn a_claim_that_is_said_twice_is_refused() {
    let twice = claims()
        .to_string()
        .replacen('{', r#"{"groups":["platform-admin"],"#, 1);
    let signed = format!(
        "{}.{}",
        encode(json!({"alg": "RS256", "kid": "rsa"}).to_string()),
        encode(twice)
    );
    let token = format!("{signed}.{}", encode(RSA.sign("RS256", signed.as_bytes())));
    assert_eq!(judge(&token), Err(Refusal::Malformed));
}

#[test]
fn a_token_that_is_too_large_is_not_even_taken_apart() {
    let groups: Vec<String> = (0..2000).map(|number| format!("team-{number}")).collect();
    assert_eq!(judge_with(&json!({"groups": groups})), Err(Refusal::TooLarge));
    assert_eq!(judge(&"x".repeat(LARGEST_TOKEN)), Err(Refusal::Malformed));
    assert_eq!(judge(&"x".repeat(LARGEST_TOKEN + 1)), Err(Refusal::TooLarge));
}

#[test]
fn a_token_has_one_spelling() {
    let token = RSA.token("RS256", &claims());
    for other in [
        format!("{token}="),
        format!(" {token}"),
        format!("{token}\n"),
        format!("{token}.x"),
        token.replace('.', ".."),
    ] {
        assert!(judge(&other).is_err(), "{other}");
    }
}

#[test]
fn keys_that_are_of_no_use_are_left_out() {
    let weak = json!({"kid": "weak", "kty": "RSA", "n": encode([0x80; 64]), "e": "AQAB"});
    let others = [
        json!({"kid": "enc", "kty": "RSA", "use": "enc", "n": "AQAB", "e": "AQAB"}),
        json!({"kid": "oct", "kty": "oct", "k": "c2VjcmV0"}),
        json!({"kid": "p384", "kty": "EC", "crv": "P-384", "x": "AA", "y": "AA"}),
        json!({"kid": "short", "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}),
        json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"}),
        json!("no key"),
    ];
    assert_eq!(KeySet::parse(&document(&others)).unwrap_err(), KeySetError::Empty);
    assert_eq!(KeySet::parse(b"<html>").unwrap_err(), KeySetError::Malformed);
    // A key that is too weak is there, and proves nothing.
    let keys = KeySet::parse(&document(&[weak])).unwrap();
    let token = RSA.token_with(&json!({"alg": "RS256", "kid": "weak"}), &claims());
    assert_eq!(verify(&token, &keys, &policy(), now()), Err(Refusal::Signature));
    // A zero in front is the same number.
    let Pair::Rsa(pair) = &RSA.pair else { panic!() };
    let components = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(pair.public());
    let mut key = RSA.jwk();
    key["n"] = json!(encode([vec![0], components.n].concat()));
    let keys = KeySet::parse(&document(&[key])).unwrap();
    assert!(verify(&RSA.token("RS256", &claims()), &keys, &policy(), now()).is_ok());
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        prop_assert!(judge(&text).is_err());
    }

    #[test]
    fn no_parts_make_it_panic(header in any::<Vec<u8>>(), body in any::<Vec<u8>>(), signature in any::<Vec<u8>>()) {
        let token = format!("{}.{}.{}", encode(header), encode(body), encode(signature));
        prop_assert!(judge(&token).is_err());
    }

    #[test]
    fn no_signature_makes_it_panic(signature in any::<Vec<u8>>(), rsa in any::<bool>()) {
        let (kid, alg) = if rsa { ("rsa", "RS256") } else { ("p256", "ES256") };
        let header = json!({"alg": alg, "kid": kid}).to_string();
        let token = format!("{}.{}.{}", encode(header), encode(claims().to_string()), encode(signature));
        prop_assert_eq!(judge(&token), Err(Refusal::Signature));
    }

    #[test]
    fn no_signed_claims_make_it_panic(name in "iss|aud|exp|nbf|typ|sub|groups|preferred_username", text in any::<String>(), number in any::<i64>()) {
        for value in [json!(text), json!(number), json!([text]), json!({"x": number})] {
            let mut claims = claims();
            claims[name.as_str()] = value;
            let _ = judge(&P256.token("ES256", &claims));
        }
    }

    #[test]
    fn no_key_set_makes_it_panic(bytes in any::<Vec<u8>>(), n in any::<Vec<u8>>(), e in any::<Vec<u8>>()) {
        let _ = KeySet::parse(&bytes);
        let key = json!({"kid": "rsa", "kty": "RSA", "n": encode(n), "e": encode(e)});
        let keys = KeySet::parse(&document(&[key])).unwrap();
        prop_assert_eq!(verify(&RSA.token("RS256", &claims()), &keys, &policy(), now()), Err(Refusal::Signature));
    }
}
