//! The suite's HTTP client.

use std::path::Path;

/// A client that trusts an authority of its own as well.
pub(crate) fn client(ca: Option<&Path>) -> reqwest::Client {
    harborage::edge::tls::install_crypto_provider();
    let mut builder = reqwest::Client::builder();
    if let Some(path) = ca {
        let pem =
            std::fs::read(path).unwrap_or_else(|error| panic!("{} can't be read: {error}", path.display()));
        builder = builder.tls_certs_merge(reqwest::Certificate::from_pem_bundle(&pem).unwrap());
    }
    builder.build().unwrap()
}

/// A client of a server on loopback, which no proxy leads to.
pub(crate) fn loopback() -> reqwest::Client {
    harborage::edge::tls::install_crypto_provider();
    reqwest::Client::builder().no_proxy().build().unwrap()
}
