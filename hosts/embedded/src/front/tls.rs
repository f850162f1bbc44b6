//! TLS: a certificate that is read again when its files change, and client certificates that
//! stand for a token each.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use hyper::header::HeaderValue;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest as _, Sha256};
use tokio_rustls::TlsAcceptor;

/// The files of a server's certificate, and of its clients'.
#[derive(Clone, Debug)]
pub struct Files {
    /// The certificate with its chain, as PEM.
    pub certificate: PathBuf,
    /// Its key, as PEM.
    pub key: PathBuf,
    /// Clients that may come with a certificate.
    pub clients: Option<Clients>,
}

/// Clients with certificates.
#[derive(Clone, Debug)]
pub struct Clients {
    /// The authorities that sign them, as PEM.
    pub authority: PathBuf,
    /// Those that were withdrawn, as PEM.
    pub revoked: Option<PathBuf>,
    /// A line for each: the SHA-256 of its certificate in hexadecimal digits, and its token.
    pub tokens: PathBuf,
}

/// What is read from the files.
struct Loaded {
    acceptor: TlsAcceptor,
    /// `Bearer <token>`, by the SHA-256 of a certificate.
    tokens: HashMap<[u8; 32], HeaderValue>,
    /// When each of the files was changed.
    changed: Vec<Option<SystemTime>>,
}

/// TLS with these files.
pub struct Tls {
    files: Files,
    loaded: RwLock<Arc<Loaded>>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// One of them can't be read, or does not fit the others.
    pub fn new(files: Files) -> Result<Self> {
        let loaded = RwLock::new(Arc::new(load(&files)?));
        Ok(Self { files, loaded })
    }

    /// Reads the files again if one of them has changed. What can't be used is not: the
    /// connections go on with what there was.
    ///
    /// # Errors
    ///
    /// As `new`.
    pub fn refresh(&self) -> Result<bool> {
        if self.loaded().changed == changed(&self.files) {
            return Ok(false);
        }
        let loaded = Arc::new(load(&self.files)?);
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = loaded;
        Ok(true)
    }

    fn loaded(&self) -> Arc<Loaded> {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.loaded().acceptor.clone()
    }

    /// What stands for the token of the client with this certificate. It is read for each request,
    /// so that a line that was removed is so at once.
    pub(super) fn authorization(&self, certificate: &[u8; 32]) -> Option<HeaderValue> {
        self.loaded().tokens.get(certificate).cloned()
    }
}

/// What a client's certificate is known by.
pub(super) fn fingerprint(certificate: &CertificateDer<'_>) -> [u8; 32] {
    Sha256::digest(certificate).into()
}

fn all(files: &Files) -> Vec<&Path> {
    let mut all = vec![files.certificate.as_path(), files.key.as_path()];
    if let Some(clients) = &files.clients {
        all.extend([clients.authority.as_path(), clients.tokens.as_path()]);
        all.extend(clients.revoked.as_deref());
    }
    all
}

fn changed(files: &Files) -> Vec<Option<SystemTime>> {
    let changed = |path: &Path| std::fs::metadata(path).and_then(|data| data.modified()).ok();
    all(files).into_iter().map(changed).collect()
}

fn load(files: &Files) -> Result<Loaded> {
    // Before the files are read: a change meanwhile is seen the next time.
    let changed = changed(files);
    let certificates = pem::<CertificateDer<'_>>(&files.certificate)?;
    let path = files.key.display();
    let key = PrivateKeyDer::from_pem_file(&files.key);
    let key = key.with_context(|| format!("{path} has no private key that can be read"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?;
    let (builder, tokens) = match &files.clients {
        None => (builder.with_no_client_auth(), HashMap::new()),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            for authority in pem::<CertificateDer<'_>>(&clients.authority)? {
                roots.add(authority)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let revoked = clients.revoked.as_deref();
            let revoked = revoked.map(pem::<CertificateRevocationListDer<'_>>).transpose()?;
            let verifier = verifier.with_crls(revoked.unwrap_or_default());
            // Who comes without one may have a token.
            let verifier = verifier.allow_unauthenticated().build()?;
            (builder.with_client_cert_verifier(verifier), tokens(&clients.tokens)?)
        }
    };
    let fits = || format!("{} and {path} do not fit", files.certificate.display());
    let mut config = builder.with_single_cert(certificates, key).with_context(fits)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Loaded { acceptor: TlsAcceptor::from(Arc::new(config)), tokens, changed })
}

fn pem<T: PemObject>(path: &Path) -> Result<Vec<T>> {
    let cant = || format!("{} can't be read", path.display());
    let items: Vec<T> =
        T::pem_file_iter(path).with_context(cant)?.collect::<Result<_, _>>().with_context(cant)?;
    if items.is_empty() {
        bail!("{} has nothing of what it should have, as PEM", path.display());
    }
    Ok(items)
}

/// Never tells what a line has: it is secret.
fn tokens(path: &Path) -> Result<HashMap<[u8; 32], HeaderValue>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{} can't be read", path.display()))?;
    let mut tokens = HashMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong =
            || format!("{}, line {number}: a SHA-256 and a token are needed", path.display());
        let (digits, token) = line.split_once(char::is_whitespace).with_context(wrong)?;
        let fingerprint = digest(digits).with_context(wrong)?;
        let mut value =
            HeaderValue::from_str(&format!("Bearer {}", token.trim())).ok().with_context(wrong)?;
        value.set_sensitive(true);
        tokens.insert(fingerprint, value);
    }
    Ok(tokens)
}

/// The digest in hexadecimal digits, with or without colons, as `openssl x509 -fingerprint`.
fn digest(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
    let mut bytes = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_has_sixty_four_digits() {
        let digits = "0123456789abcdefABCDEF".repeat(3);
        let digits = &digits[..64];
        let with_colons: Vec<&str> =
            digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap()).collect();
        assert_eq!(digest(digits), digest(&with_colons.join(":")));
        assert_eq!(digest(digits).unwrap()[..3], [0x01, 0x23, 0x45]);
        for wrong in ["", &digits[1..], &digits.replace('0', "g"), &format!("{digits}00")] {
            assert_eq!(digest(wrong), None, "{wrong}");
        }
    }
}
