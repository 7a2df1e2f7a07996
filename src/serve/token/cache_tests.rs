use std::sync::Arc;

use chrono::TimeDelta;

use super::cache::{FRESH, LASTING, PAUSE};
use super::issuer_fake::{FakeIssuer, SigningKey, TurnedClock, claims, policy};
use super::*;

struct Stage {
    issuer: Arc<FakeIssuer>,
    clock: Arc<TurnedClock>,
    cache: KeyCache,
}

impl Stage {
    fn new(published: &[&SigningKey]) -> Self {
        let (issuer, clock) = (Arc::new(FakeIssuer::default()), Arc::new(TurnedClock::new()));
        let stage = Self {
            cache: KeyCache::new(issuer.clone(), clock.clone()),
            issuer,
            clock,
        };
        stage.publish(published);
        stage
    }

    fn publish(&self, keys: &[&SigningKey]) {
        let keys: Vec<_> = keys.iter().map(|key| key.jwk()).collect();
        self.issuer.publish(&keys);
    }

    async fn judge(&self, key: &SigningKey) -> Result<(), TokenError> {
        let mut claims = claims();
        claims["exp"] = i64::MAX.into();
        let token = key.token("ES256", &claims);
        self.cache.verify(&token, &policy()).await.map(drop)
    }
}

const UNKNOWN: Result<(), TokenError> = Err(TokenError::Refused(Refusal::UnknownKey));
const AWAY: Result<(), TokenError> = Err(TokenError::KeysAway);

#[tokio::test]
async fn keys_are_read_once_and_kept() {
    let key = SigningKey::p256("one");
    let stage = Stage::new(&[&key]);
    let all = futures::future::join_all((0..20).map(|_| stage.judge(&key))).await;
    assert!(all.iter().all(Result::is_ok));
    stage.clock.turn(FRESH - TimeDelta::seconds(1));
    stage.judge(&key).await.unwrap();
    assert_eq!(stage.issuer.asked(), 1);
    stage.clock.turn(TimeDelta::seconds(1));
    stage.judge(&key).await.unwrap();
    assert_eq!(stage.issuer.asked(), 2);
}

#[tokio::test]
async fn a_new_key_is_good_at_once_and_the_old_one_until_it_is_withdrawn() {
    let (old, new) = (SigningKey::p256("old"), SigningKey::p256("new"));
    let stage = Stage::new(&[&old]);
    stage.judge(&old).await.unwrap();
    stage.clock.turn(PAUSE);
    stage.publish(&[&old, &new]);
    stage.judge(&new).await.unwrap();
    stage.judge(&old).await.unwrap();
    stage.publish(&[&new]);
    stage.clock.turn(FRESH);
    stage.judge(&new).await.unwrap();
    assert_eq!(stage.judge(&old).await, UNKNOWN);
}

#[tokio::test]
async fn a_flood_of_forged_key_ids_asks_the_issuer_no_more_often_than_it_may() {
    let key = SigningKey::p256("one");
    let stage = Stage::new(&[&key]);
    stage.judge(&key).await.unwrap();
    stage.clock.turn(PAUSE);
    let forged: Vec<_> = (0..100)
        .map(|number| SigningKey::p256(&number.to_string()))
        .collect();
    let all = futures::future::join_all(forged.iter().map(|key| stage.judge(key))).await;
    assert!(all.iter().all(|judged| *judged == UNKNOWN));
    assert_eq!(stage.issuer.asked(), 2);
    stage.judge(&key).await.unwrap();
    stage.clock.turn(PAUSE);
    assert_eq!(stage.judge(&forged[0]).await, UNKNOWN);
    assert_eq!(stage.issuer.asked(), 3);
}

#[tokio::test]
async fn keys_are_read_even_for_one_who_hangs_up() {
    let (old, new) = (SigningKey::p256("old"), SigningKey::p256("new"));
    let stage = Stage::new(&[&old]);
    stage.judge(&old).await.unwrap();
    stage.clock.turn(PAUSE);
    stage.publish(&[&new]);
    let forged = SigningKey::p256("forged");
    let mut hanging_up = Box::pin(stage.judge(&forged));
    assert!(futures::poll!(&mut hanging_up).is_pending());
    drop(hanging_up);
    stage.judge(&new).await.unwrap();
}

#[tokio::test]
async fn without_the_issuer_known_keys_last_for_a_while_and_others_can_not_be_told() {
    let key = SigningKey::p256("one");
    let stage = Stage::new(&[&key]);
    stage.judge(&key).await.unwrap();
    stage.issuer.go_away();
    stage.clock.turn(FRESH);
    stage.judge(&key).await.unwrap();
    stage.judge(&key).await.unwrap();
    assert_eq!(
        stage.issuer.asked(),
        2,
        "it is left alone for a while after a failure"
    );
    assert_eq!(stage.judge(&SigningKey::p256("two")).await, AWAY);
    stage.clock.turn(LASTING);
    assert_eq!(stage.judge(&key).await, AWAY);
    stage.publish(&[&key]);
    stage.clock.turn(PAUSE);
    stage.judge(&key).await.unwrap();
}

#[tokio::test]
async fn an_issuer_that_was_never_reached_is_tried_again() {
    let key = SigningKey::p256("one");
    let stage = Stage::new(&[]);
    for _ in 0..3 {
        assert_eq!(stage.judge(&key).await, AWAY, "a set without keys is none");
    }
    assert_eq!(stage.issuer.asked(), 1);
    stage.publish(&[&key]);
    stage.clock.turn(PAUSE);
    stage.judge(&key).await.unwrap();
}

#[tokio::test]
async fn the_keys_of_a_former_issuer_are_forgotten() {
    let key = SigningKey::p256("one");
    let stage = Stage::new(&[&key]);
    stage.judge(&key).await.unwrap();
    stage.publish(&[&SigningKey::p256("two")]);
    let moved = Policy {
        issuer: "https://moved.example.com".to_owned(),
        ..policy()
    };
    let mut claims = claims();
    claims["iss"] = moved.issuer.clone().into();
    let judged = stage.cache.verify(&key.token("ES256", &claims), &moved).await;
    assert_eq!(judged.map(drop), UNKNOWN);
}
