//! Signatures of components that come from elsewhere: minisign's format, Ed25519. The signature of
//! `x.wasm` is beside it, in `x.wasm.minisig`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use minisign_verify::{PublicKey, Signature};

/// A key that signs components.
pub(crate) struct Key(PublicKey);

impl Key {
    /// A public key as minisign prints it: base64, in one line.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let key = PublicKey::from_base64(text.trim());
        Ok(Self(key.ok().context("application.key is no public key of minisign")?))
    }

    /// The component in this file, if the key signed just that. It is not compiled before.
    ///
    /// # Errors
    ///
    /// There is no signature, it is another's, or the file was changed.
    pub(crate) fn verified(&self, path: &Path) -> Result<Vec<u8>> {
        let content =
            std::fs::read(path).with_context(|| format!("{} can't be read", path.display()))?;
        let beside = PathBuf::from(format!("{}.minisig", path.display()));
        let Ok(text) = std::fs::read_to_string(&beside) else {
            bail!("{} is not signed: there is no {}", path.display(), beside.display());
        };
        let signature = Signature::decode(&text);
        let signature =
            signature.ok().with_context(|| format!("{} is no signature", beside.display()))?;
        match self.0.verify(&content, &signature, false) {
            Ok(()) => Ok(content),
            Err(minisign_verify::Error::UnexpectedKeyId) => {
                bail!("{} is signed by another key than application.key", path.display())
            }
            Err(_) => bail!("{} is not what was signed", path.display()),
        }
    }
}
