//! Many connections at once: that wait for their outcomes, and whose bodies stop half-way.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant};

use isotherm_it::{Service, now_ms};

use crate::{alone, count, in_hall, settled};

#[test]
fn sixty_four_waiting_connections_are_all_served_within_a_second() {
    let _turn = alone();
    let service = Service::start(&[]).unwrap();
    let (connections, rounds) = (64, 10);
    let (together, start_ms) = (Barrier::new(connections), now_ms() - 3_600_000);
    let latencies = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for connection in 0..connections {
            let (service, together, latencies) = (&service, &together, &latencies);
            scope.spawn(move || {
                together.wait();
                for round in 0..rounds {
                    let body = in_hall(&format!("d{connection}"), start_ms + round);
                    let started = Instant::now();
                    let body = body.to_string();
                    let answer =
                        service.sender().post(body.as_bytes(), &[("prefer", "wait")]).unwrap();
                    latencies.lock().unwrap().push(started.elapsed());
                    assert_eq!(answer.status, 200, "{}", answer.body);
                }
            });
        }
    });
    let mut latencies = latencies.into_inner().unwrap();
    latencies.sort_unstable();
    let at = |percent: usize| latencies.get(latencies.len() * percent / 100).copied().unwrap();
    println!("p50 {:?}, p99 {:?}, max {:?}", at(50), at(99), latencies.last().unwrap());
    assert_eq!(count(&settled(&service)), 640);
    assert!(at(99) < Duration::from_secs(1), "p99 {:?}", at(99));
}

/// A request whose body stops half-way.
fn half_sent(address: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_nonblocking(false).unwrap();
    let half = "POST /v1/readings HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n[{\"device";
    socket.write_all(half.as_bytes()).unwrap();
    socket
}

/// For 60 seconds where `ISOTHERM_STALL_SECONDS` says so; a few by default.
#[test]
fn four_hundred_half_sent_bodies_keep_nobody_else_from_an_answer() {
    let _turn = alone();
    let seconds = std::env::var("ISOTHERM_STALL_SECONDS").ok().and_then(|s| s.parse().ok());
    let service = Service::start(&[]).unwrap();
    let address = service.sender().url().strip_prefix("http://").unwrap();
    let sockets: Vec<TcpStream> = (0..400).map(|_| half_sent(address)).collect();
    let started = Instant::now();
    let mut longest = Duration::ZERO;
    let mut count = 0;
    while started.elapsed() < Duration::from_secs(seconds.unwrap_or(14)) {
        let asked = Instant::now();
        let body = in_hall("d", now_ms() - count);
        assert_eq!(service.post(&body.to_string()).unwrap().status, 202);
        assert_eq!(service.get("/v1/regions/hall").unwrap().status, 200);
        longest = longest.max(asked.elapsed());
        count += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    println!("{count} pairs of requests, the longest {longest:?}");
    assert!(longest < Duration::from_secs(1), "{longest:?}");
    // By now each was answered.
    for mut socket in sockets {
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
}
