//! The URL of a service, as a command is given it.

use anyhow::{Result, bail};

/// The URL of a service, as it was given. Fails if it does not begin with its scheme, which
/// would otherwise be tried again and again.
pub fn checked(url: String) -> Result<String> {
    if url.starts_with("http://") || url.starts_with("https://") {
        return Ok(url);
    }
    bail!("--url {url}: a URL like http://127.0.0.1:3000 is needed")
}
