//! The link from a gateway to the hub: a proxy of TCP that can be cut.

use std::collections::BTreeMap;
use std::io::Result;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A link. Its thread ends with this process.
pub(super) struct Proxy {
    address: SocketAddr,
    link: Arc<Link>,
}

struct Link {
    to: SocketAddr,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    is_cut: bool,
    /// How many connections there have been.
    count: u64,
    /// Both ends of each that is open.
    open: BTreeMap<u64, [TcpStream; 2]>,
}

impl Proxy {
    pub(super) fn start(listen: SocketAddr, to: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(listen)?;
        let address = listener.local_addr()?;
        let link = Arc::new(Link { to, state: Mutex::default() });
        let of_thread = link.clone();
        std::thread::spawn(move || {
            for from in listener.incoming().flatten() {
                // A connection that can't be passed on is closed: the gateway tries again.
                drop(of_thread.clone().pass(from));
            }
        });
        Ok(Self { address, link })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn is_cut(&self) -> bool {
        self.link.state().is_cut
    }

    /// Closes all connections, and every new one at once.
    pub(super) fn cut(&self) {
        let mut state = self.link.state();
        state.is_cut = true;
        for ends in std::mem::take(&mut state.open).into_values() {
            close(&ends);
        }
    }

    pub(super) fn heal(&self) {
        self.link.state().is_cut = false;
    }
}

impl Link {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes on what comes from both ends, until one of them closes.
    fn pass(self: Arc<Self>, from: TcpStream) -> Result<()> {
        if self.state().is_cut {
            return Ok(());
        }
        let to = TcpStream::connect(self.to)?;
        let directions =
            [(from.try_clone()?, to.try_clone()?), (to.try_clone()?, from.try_clone()?)];
        let number = {
            let mut state = self.state();
            // It may have been cut since.
            if state.is_cut {
                return Ok(());
            }
            state.count += 1;
            let number = state.count;
            state.open.insert(number, [from, to]);
            number
        };
        for (mut from, mut to) in directions {
            let link = self.clone();
            std::thread::spawn(move || {
                // An error is an end, too.
                drop(std::io::copy(&mut from, &mut to));
                if let Some(ends) = link.state().open.remove(&number) {
                    close(&ends);
                }
            });
        }
        Ok(())
    }
}

fn close(ends: &[TcpStream]) {
    for end in ends {
        // It may be closed already.
        drop(end.shutdown(Shutdown::Both));
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    /// A server that sends back what it gets.
    fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || {
                    drop(std::io::copy(&mut &stream, &mut &stream));
                });
            }
        });
        address
    }

    /// Whether one byte comes back.
    fn answers(stream: &mut TcpStream) -> bool {
        let mut byte = [0];
        stream.write_all(b"x").is_ok() && stream.read_exact(&mut byte).is_ok() && byte == *b"x"
    }

    #[test]
    fn a_link_is_cut_for_old_connections_and_for_new_ones_until_it_heals() {
        let proxy = Proxy::start("127.0.0.1:0".parse().unwrap(), echo()).unwrap();
        let connect = || TcpStream::connect(proxy.address()).unwrap();
        let mut old = connect();
        assert!(answers(&mut old) && answers(&mut connect()));
        proxy.cut();
        assert!(!answers(&mut old) && !answers(&mut connect()) && proxy.is_cut());
        proxy.heal();
        assert!(!answers(&mut old) && answers(&mut connect()) && !proxy.is_cut());
    }

    #[test]
    fn a_connection_that_ended_is_forgotten() {
        let proxy = Proxy::start("127.0.0.1:0".parse().unwrap(), echo()).unwrap();
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        assert!(answers(&mut stream));
        assert_eq!(proxy.link.state().open.len(), 1);
        stream.shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert_eq!(proxy.link.state().open.len(), 0);
    }
}
