//! What others could do who reach the port: nothing, unless access control is on and tokens
//! travel over TLS.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Result, bail};

/// # Errors
///
/// An address that others reach, without access control or without TLS.
pub(crate) fn check(listen: &[SocketAddr], has_auth: bool, has_tls: bool) -> Result<()> {
    let is_own = |address: &&SocketAddr| match address.ip().to_canonical() {
        IpAddr::V4(address) => address.is_loopback(),
        IpAddr::V6(address) => address.is_loopback(),
    };
    let Some(open) = listen.iter().find(|address| !is_own(address)) else { return Ok(()) };
    let ways = "listen on 127.0.0.1, or set exposed = true for a network that you trust";
    if !has_auth {
        bail!("access control is off, and {open} is open to others: set auth = \"on\", {ways}");
    }
    if !has_tls {
        bail!("tokens could be read on the way to {open}: set [tls], {ways}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_address_needs_access_control_and_tls() {
        let on = |text: &str| vec![text.parse::<SocketAddr>().unwrap()];
        for own in ["127.0.0.1:3000", "[::1]:3000", "127.9.9.9:1", "[::ffff:127.0.0.1]:1"] {
            assert!(check(&on(own), false, false).is_ok(), "{own}");
        }
        for open in ["0.0.0.0:3000", "[::]:3000", "192.168.1.5:1"] {
            assert!(check(&on(open), true, true).is_ok(), "{open}");
            for (has_auth, has_tls) in [(false, true), (true, false), (false, false)] {
                assert!(check(&on(open), has_auth, has_tls).is_err(), "{open}");
            }
        }
    }
}
