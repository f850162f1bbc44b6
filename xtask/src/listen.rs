//! The address that `cargo xtask up` serves: whether it is one, and whether it is free.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};

use anyhow::{Context, Result, bail};

/// How many ports after one in use are tried for the hint.
const PORTS_TRIED: u16 = 100;

/// The address of a text like `127.0.0.1:3000` or `localhost:3000`. Of a name's addresses, one
/// of IPv4 goes before the others, which not every client has.
pub(crate) fn address(text: &str) -> Result<SocketAddr> {
    let wanted = || format!("--listen {text}: an address like 127.0.0.1:3000 is needed");
    let mut found: Vec<SocketAddr> = text.to_socket_addrs().with_context(wanted)?.collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    found.into_iter().next().with_context(wanted)
}

/// Fails if nothing can be served there now. Where the port is in use, the error names one
/// that is free.
pub(crate) fn check(address: SocketAddr) -> Result<()> {
    match TcpListener::bind(address) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let ports = (1..=PORTS_TRIED).filter_map(|further| address.port().checked_add(further));
            let free = ports
                .map(|port| SocketAddr::new(address.ip(), port))
                .find(|free| TcpListener::bind(free).is_ok());
            let hint = free.map(|free| format!(", for example with --listen {free}"));
            bail!(
                "{address} is in use, perhaps by another Isotherm: end that, or choose another \
                 port{}",
                hint.unwrap_or_default()
            )
        }
        Err(error) => Err(error).with_context(|| format!("can't listen on {address}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_an_address_and_what_is_none_is_named() {
        assert_eq!(address("127.0.0.1:3000").unwrap(), SocketAddr::from(([127, 0, 0, 1], 3000)));
        let local = address("localhost:3000").unwrap();
        assert!(local.ip().is_loopback() && local.port() == 3000, "{local}");
        for wrong in ["3000", "localhost", "127.0.0.1:70000", "", "http://127.0.0.1:3000"] {
            let said = address(wrong).unwrap_err().to_string();
            let line = format!("--listen {wrong}: an address like 127.0.0.1:3000 is needed");
            assert_eq!(said, line);
        }
    }

    #[test]
    fn a_port_in_use_is_refused_with_one_that_is_free() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let said = check(address).unwrap_err().to_string();
        let (begin, hint) = said.split_once("--listen ").unwrap();
        assert!(begin.starts_with(&format!("{address} is in use")), "{said}");
        check(hint.parse().unwrap()).unwrap();
        drop(taken);
        check(address).unwrap();
    }
}
