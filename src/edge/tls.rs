//! How TLS is set up, once for every client.

use std::sync::Once;

/// Makes ring the process's crypto provider. rustls has none by default here, and a client built
/// without one panics, also for plain http.
pub fn install_crypto_provider() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // Another part of the process may have chosen a provider before; that one serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
