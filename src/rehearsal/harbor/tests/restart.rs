//! Stopped, and started again where it was.

use super::*;

#[tokio::test]
async fn a_harbor_that_starts_again_is_as_it_was_but_for_its_sessions() {
    let harbor = start().await;
    let (id, secret) = robot(&harbor, "kept", 1).await;
    let session = format!("Cookie: sid={}", harbor.open_session(1));
    let current = "/api/v2.0/users/current";
    assert_eq!(ask(&harbor, "GET", current, &[&session], None).await.status, 200);
    harbor.advance(Duration::from_hours(23));
    let address = harbor.address();

    let options = harbor.stop().await;
    assert!(TcpStream::connect(address).await.is_err());
    let again = HarborStandIn::start(options).await.unwrap();
    assert_eq!(again.address(), address);
    assert_eq!(ask(&again, "GET", current, &[&session], None).await.status, 401);
    assert_eq!(admin(&again, "GET", current, None).await.status, 200);
    assert!(again.authenticates("robot$kept", &secret));
    assert!(robot(&again, "new", -1).await.0 > id);
    again.advance(Duration::from_hours(1));
    assert!(!again.authenticates("robot$kept", &secret));
}

#[tokio::test]
async fn two_cannot_have_the_same_port() {
    let harbor = start().await;
    let port = Some(harbor.address().port());
    let other = HarborStandIn::start(HarborOptions {
        port,
        ..HarborOptions::default()
    })
    .await;
    assert!(matches!(other, Err(ServeError::Bind(_))));
}
