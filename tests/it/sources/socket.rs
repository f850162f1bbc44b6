//! The golden messages once more, through a real socket and byte for byte: `golden` gives them
//! to the node as it has split them itself. Here a runtime reads the heads, and those of devices
//! are odd: `HOST`, no space behind a colon, or one behind a length.
//!
//! The node goes by the machine's clock, so `time: arrival` is now. The times in the messages
//! are past, and stay good for ever with `retention=0`.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Error, Read as _, Result, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use isotherm_it::{Service, now_ms};
use serde_json::{Value, json};

use super::golden::{ARRIVAL, is_assumed, list};
use super::golden_files::{Golden, parsed, source_of};
use crate::support::bare::exchange;
use crate::support::service::Expect as _;

/// How long an answer may be in coming.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// How many bytes of a body are in a chunk, and in a packet: a number is cut in two.
const PIECE_BYTES: usize = 37;

/// The pause behind a packet: without one, the kernel may join it with the next.
const PAUSE: Duration = Duration::from_millis(1);

/// Makes a source of a service.
#[track_caller]
pub(crate) fn make_source(service: &Service, source: &str, mapping: &Value) {
    let path = format!("/v1/sources/{source}");
    let made = service.sender().put(&path, mapping.to_string().as_bytes()).unwrap();
    assert_eq!(made.status, 200, "{source}: {}", made.body);
}

/// Gives a source its table of devices, as CSV.
#[track_caller]
pub(crate) fn put_devices(service: &Service, source: &str, table: &str) {
    let line = format!("PUT /v1/sources/{source}/devices HTTP/1.1");
    let length = table.len();
    let head = format!("{line}\r\ncontent-type: text/csv\r\ncontent-length: {length}\r\n");
    let put = exchange(service, &head, table).unwrap();
    assert_eq!(put.status, 204, "{source}: {}", put.body);
}

/// Where a message is counted; `None` for our own formats, and for no source at all.
fn counted_as(golden: &Golden) -> Option<String> {
    let (request, _) = parsed(&golden.name, &golden.request, true);
    // Lines for no source with a mapping are those of one that is always there.
    source_of(&request).map(|source| match golden.mapping {
        Some(_) => source,
        None => "influx".to_owned(),
    })
}

/// Makes the source of a message, as `golden` does.
fn set_up(service: &Service, golden: &Golden) {
    let source = counted_as(golden);
    if let Some(mapping) = &golden.mapping {
        make_source(service, source.as_deref().unwrap(), mapping);
    }
    if let Some(devices) = &golden.devices {
        put_devices(service, source.as_deref().unwrap(), devices);
    }
}

/// Sends these packets. Returns status and body of the answer, behind which a server may keep
/// the connection open.
fn exchanged(address: &str, packets: &[&[u8]]) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(LONGEST_WAIT))?;
    stream.set_nodelay(true)?;
    for packet in packets {
        // A server may answer, and close, before it has read a body that it has no use for.
        if stream.write_all(packet).is_err() {
            break;
        }
        std::thread::sleep(PAUSE);
    }
    let mut answer = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if answer.read_line(&mut head)? == 0 {
            return Err(Error::other(format!("the answer ends with {head:?}")));
        }
    }
    let mut body = vec![0; content_length(&head)];
    answer.read_exact(&mut body)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| Error::other(format!("{head:?} has no status")))?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

fn content_length(head: &str) -> usize {
    let mut pairs = head.lines().filter_map(|line| line.split_once(':'));
    let length = pairs.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    length.map_or(0, |(_, value)| value.trim().parse().unwrap())
}

/// What is wrong with the answer to a message.
fn difference(golden: &Golden, answer: Result<(u16, String)>) -> Option<String> {
    let (name, expected) = (&golden.name, &golden.expected);
    let (status, reply) = match answer {
        Ok(answer) => answer,
        Err(error) => return Some(format!("{name}: {error}")),
    };
    let is_right = expected["status"] == status
        && expected.get("reply").is_none_or(|wanted| *wanted == reply.as_str());
    let wanted = format!("{} {}", expected["status"], expected["reply"]);
    (!is_right).then(|| format!("{name}: {status} {reply:?} instead of {wanted}"))
}

/// Checks that all of their readings are counted, of the right source, and nothing else is.
#[track_caller]
fn check_counted(service: &Service, goldens: &[Golden]) {
    let readings = || goldens.iter().flat_map(|golden| list(&golden.expected));
    let sum: i64 = readings().map(|reading| reading["millicelsius"].as_i64().unwrap()).sum();
    assert_eq!(service.totals(), (i64::try_from(readings().count()).unwrap(), sum));
    let mut wanted: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    for golden in goldens {
        let Some(source) = counted_as(golden) else { continue };
        let [kept, assumed] = wanted.entry(source).or_default();
        *kept += list(&golden.expected).len();
        *assumed += list(&golden.expected).iter().filter(|reading| is_assumed(reading)).count();
    }
    let seen = service.read("/v1/sources");
    let counts = |source: &Value| json!([source["kept"], source["time_assumed"]]);
    let of_one = |source: &Value| (source["source"].as_str().unwrap().to_owned(), counts(source));
    let seen: BTreeMap<String, Value> =
        seen["sources"].as_array().unwrap().iter().map(of_one).collect();
    let wanted = wanted.into_iter().map(|(source, counts)| (source, json!(counts)));
    assert_eq!(seen, wanted.collect());
}

/// Sends all messages to a service, each in the packets that are made of it.
#[track_caller]
fn check_all(packets_of: impl Fn(&Golden) -> Vec<Vec<u8>>) {
    // A node with a clock before the messages would take them for ones of the future.
    assert!(now_ms() > ARRIVAL, "the machine's clock is before the messages' times");
    let service = Service::start(&[("retention", "0")]).unwrap();
    let goldens = Golden::all();
    let mut wrong = Vec::new();
    for golden in &goldens {
        set_up(&service, golden);
        let packets = packets_of(golden);
        let packets: Vec<&[u8]> = packets.iter().map(Vec::as_slice).collect();
        wrong.extend(difference(golden, exchanged(service.address(), &packets)));
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    check_counted(&service, &goldens);
}

/// The same request with its body in chunks, in place of its length: nothing else is changed.
fn in_chunks(sent: &[u8]) -> Vec<u8> {
    let end = sent.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let (head, body) = (std::str::from_utf8(&sent[..end]).unwrap(), &sent[end + 4..]);
    let is_length = |line: &str| line.to_ascii_lowercase().starts_with("content-length:");
    let mut lines: Vec<&str> = head.split("\r\n").filter(|line| !is_length(line)).collect();
    lines.push("Transfer-Encoding: chunked");
    let mut chunked = format!("{}\r\n\r\n", lines.join("\r\n")).into_bytes();
    for piece in body.chunks(PIECE_BYTES) {
        chunked.extend(format!("{:X}\r\n", piece.len()).bytes());
        chunked.extend([piece, b"\r\n"].concat());
    }
    chunked.extend(b"0\r\n\r\n");
    chunked
}

#[test]
fn each_message_is_answered_and_counted_through_a_socket_as_its_bytes_are() {
    check_all(|golden| vec![golden.request.clone()]);
}

/// Small devices send a head a line at a time, and a body as they make it.
#[test]
fn each_message_in_small_packets_is_answered_and_counted_as_in_one() {
    check_all(|golden| golden.request.chunks(PIECE_BYTES).map(<[u8]>::to_vec).collect());
}

/// Telegraf and others do not say how long a body is that they compress, or read from a file.
#[test]
fn each_message_with_a_body_in_chunks_is_answered_and_counted_as_with_a_length() {
    check_all(|golden| vec![in_chunks(&golden.request)]);
}
