//! Requests to nodes on this machine.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// How long a node may take to answer, or a connection to be made.
const PATIENCE: Duration = Duration::from_secs(15);
const CONNECT: Duration = Duration::from_secs(2);

/// What a node answered.
pub struct Answer {
    /// The status, as 200.
    pub status: u16,
    /// The body. What was no UTF-8 in it is replaced.
    pub body: String,
}

impl Answer {
    /// Whether the node did what it was asked for.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Sends one request on a connection of its own. A body is JSON.
///
/// # Errors
///
/// A node that can't be reached, or that is cut off in its answer.
pub fn send(
    node: SocketAddr,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: &str,
) -> Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&reachable(node), CONNECT)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut head = format!("{method} {path} HTTP/1.0\r\nhost: {node}\r\n");
    if let Some(token) = token {
        head += &format!("authorization: Bearer {token}\r\n");
    }
    if !body.is_empty() {
        head += "content-type: application/json\r\n";
    }
    // In HTTP/1.0 an answer comes without chunks, and ends with its connection.
    head += &format!("content-length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes())?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text)?;
    parse(&String::from_utf8_lossy(&text))
        .ok_or_else(|| Error::new(ErrorKind::UnexpectedEof, "the connection ended in an answer"))
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let fields = lines.filter_map(|line| line.split_once(':'));
    let mut lengths = fields.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = lengths.next().and_then(|(_, value)| value.trim().parse::<usize>().ok());
    let is_whole = length.is_none_or(|length| body.len() >= length);
    is_whole.then(|| Answer { status, body: body.to_owned() })
}

/// Where a node is reached that listens on this address: it may listen on all of them.
fn reachable(node: SocketAddr) -> SocketAddr {
    let ip = match node.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, node.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_was_cut_off_is_none() {
        let parsed = |text: &str| parse(text).map(|answer| (answer.status, answer.body));
        let whole = "HTTP/1.0 202 Accepted\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(parsed(whole), Some((202, "{}".to_owned())));
        for length in 0..whole.len() {
            assert_eq!(parsed(&whole[..length]), None, "{length}");
        }
        let without = "HTTP/1.0 200 OK\r\ndate: x\r\n\r\n[1]";
        assert_eq!(parsed(without), Some((200, "[1]".to_owned())));
    }

    #[test]
    fn a_node_that_listens_on_every_address_is_reached_on_loopback() {
        for (listens, reached) in
            [("0.0.0.0:80", "127.0.0.1:80"), ("[::]:80", "[::1]:80"), ("10.0.0.1:8", "10.0.0.1:8")]
        {
            assert_eq!(reachable(listens.parse().unwrap()), reached.parse().unwrap());
        }
    }
}
