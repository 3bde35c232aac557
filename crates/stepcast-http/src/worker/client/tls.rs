//! TLS towards apps: the roots that the machine trusts, and the cryptography of `graviola`, which is Rust and assembly that is proven
//! right: no C is compiled. It knows x86-64 and 64-bit ARM; elsewhere apps have to be called over `http`.

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod missing;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod provided;

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) use missing::provider;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) use provided::provider;

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

/// How connections are protected, or a sentence that says why they cannot be.
pub(super) fn config() -> Result<ClientConfig, String> {
    trusting(roots())
}

/// The same with these roots.
pub(super) fn trusting(roots: RootCertStore) -> Result<ClientConfig, String> {
    let provider = Arc::new(provider()?);
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// Without any, each connection is refused, as nobody is trusted.
fn roots() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let error = found.errors.first().map(ToString::to_string);
        tracing::info!(
            error = error.unwrap_or_default(),
            "no root certificates were found, so apps cannot be called over https; install ca-certificates or set SSL_CERT_FILE"
        );
    }
    roots
}
