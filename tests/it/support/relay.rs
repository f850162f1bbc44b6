//! A link between two programs: it can be cut, and it can be thin.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Listens on an address of its own, and passes bytes to and from another.
pub(crate) struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    target: Mutex<SocketAddr>,
    is_cut: AtomicBool,
    /// How often it was cut: connections from before end.
    cuts: AtomicU64,
    /// Bits per second in each direction; 0 is as fast as it goes.
    rate: AtomicU64,
    sent: AtomicU64,
}

/// The address of a service with this URL.
fn address(url: &str) -> SocketAddr {
    url.trim_start_matches("http://").trim_end_matches('/').parse().unwrap()
}

impl Relay {
    /// A link to the service at this URL.
    pub(crate) fn to(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let shared = Arc::new(Shared {
            target: Mutex::new(address(url)),
            is_cut: AtomicBool::new(false),
            cuts: AtomicU64::new(0),
            rate: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        });
        let (own, address) = (shared.clone(), listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = own.clone();
                if shared.is_cut.load(Ordering::SeqCst) {
                    continue;
                }
                let target = *shared.target.lock().unwrap();
                if let Ok(other) = TcpStream::connect(target) {
                    pass(&shared, &stream, &other, true);
                    pass(&shared, &other, &stream, false);
                }
            }
        });
        Self { address, shared }
    }

    /// Its own origin.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on it leads to the service at this URL.
    pub(crate) fn lead_to(&self, url: &str) {
        *self.shared.target.lock().unwrap() = address(url);
    }

    /// Ends all connections, and refuses new ones.
    pub(crate) fn cut(&self) {
        self.shared.is_cut.store(true, Ordering::SeqCst);
        self.shared.cuts.fetch_add(1, Ordering::SeqCst);
    }

    /// Takes connections again, at this rate in bits per second; 0 is as fast as it goes.
    pub(crate) fn heal(&self, rate: u64) {
        self.shared.rate.store(rate, Ordering::SeqCst);
        self.shared.is_cut.store(false, Ordering::SeqCst);
    }

    /// How many bytes went to the target.
    pub(crate) fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::SeqCst)
    }
}

/// Passes bytes on in a thread, until either end is closed or the link is cut.
#[expect(clippy::disallowed_methods, reason = "the link's rate is by the machine's clock")]
fn pass(shared: &Arc<Shared>, from: &TcpStream, to: &TcpStream, counts: bool) {
    let (shared, mut from, mut to) =
        (shared.clone(), from.try_clone().unwrap(), to.try_clone().unwrap());
    let cuts = shared.cuts.load(Ordering::SeqCst);
    std::thread::spawn(move || {
        from.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let mut buffer = [0; 4_096];
        // When the bytes so far would have been passed at the link's rate.
        let mut free_at = Instant::now();
        while shared.cuts.load(Ordering::SeqCst) == cuts {
            let count = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error)
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    ) =>
                {
                    continue;
                }
                Err(_) => break,
            };
            let rate = shared.rate.load(Ordering::SeqCst);
            if rate > 0 {
                let seconds = f64::from(u32::try_from(count * 8).unwrap()) / rate as f64;
                free_at = free_at.max(Instant::now()) + Duration::from_secs_f64(seconds);
                std::thread::sleep(free_at.saturating_duration_since(Instant::now()));
            }
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
            if counts {
                shared.sent.fetch_add(count as u64, Ordering::SeqCst);
            }
        }
        drop(from.shutdown(Shutdown::Both));
        drop(to.shutdown(Shutdown::Both));
    });
}
