//! What the command line and the environment say.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use rumqttc::valid_filter;
use ureq::http::{HeaderValue, Uri};

use crate::post::Token;

/// What `--help` prints.
pub(crate) const USAGE: &str = "\
isotherm-bridge --broker HOST:PORT --topic FILTER... --to URL [...]
    Subscribes to a broker (MQTT 3.1.1, QoS 1, a session that the broker keeps), sends the
    payload of each message to a node by POST, with its topic in the header x-mqtt-topic, and
    acknowledges it to the broker once the node has answered 2xx. What the node does not take
    now, it sends again, for as long as it takes. What the node will never take (400, 413, 415,
    422) is acknowledged, and named on standard error.
    --broker HOST:PORT   the broker, as 127.0.0.1:1883; without TLS
    --topic FILTER       what to subscribe to, as sensors/#; several times
    --to URL             where to send, as http://127.0.0.1:3000/v1/readings; http alone
    --client-id ID       the name of the session at the broker, default isotherm-bridge: one
                         for each bridge. A session keeps filters that are not given any more
    --user NAME          the user at the broker; the environment's variable MQTT_PASSWORD has
                         the password
    --token-file FILE    a token of the node, with scopes as write:*@hall; read again for every
                         request. Without it, the environment's variable ISOTHERM_TOKEN has
                         one, if the node has access control
    --content-type TYPE  of the payloads, default application/json
    --retained           takes retained messages, too: the last value of each topic, which the
                         broker sends again at every start
    --in-flight N        how many messages are sent at the same time, 1 to 256, default 16;
                         those of a topic one after the other
    Every minute a line says what was taken and refused. SIGTERM and SIGINT end it after what
    is under way; the broker keeps the rest.";

/// The most messages that can be sent at the same time: one thread each.
const IN_FLIGHT_MAX: usize = 256;

/// The longest name of a session, in bytes: of MQTT (a string has at most so many).
const CLIENT_ID_BYTES_MAX: usize = 65_535;

/// What the program is to do.
#[derive(Debug)]
pub(crate) struct Options {
    /// Host and port of the broker.
    pub(crate) broker: (String, u16),
    /// Filters to subscribe to; at least one.
    pub(crate) topics: Vec<String>,
    /// Where to send.
    pub(crate) to: String,
    /// The name of the session.
    pub(crate) client_id: String,
    /// User and password at the broker.
    pub(crate) login: Option<(String, String)>,
    /// The token for the node.
    pub(crate) token: Token,
    /// The type of the payloads.
    pub(crate) content_type: HeaderValue,
    /// Whether retained messages are taken.
    pub(crate) takes_retained: bool,
    /// How many messages are sent at the same time.
    pub(crate) in_flight: usize,
}

/// What is given as it is, before it is checked.
#[derive(Debug, Default)]
struct Given {
    broker: Option<String>,
    topics: Vec<String>,
    to: Option<String>,
    client_id: Option<String>,
    user: Option<String>,
    token_file: Option<PathBuf>,
    content_type: Option<String>,
    takes_retained: bool,
    in_flight: Option<usize>,
}

impl Options {
    /// What the program was given; `None` if help was asked for.
    pub(crate) fn of_command_line() -> Result<Option<Self>> {
        let environment = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self::parse(lexopt::Parser::from_env(), environment)
    }

    fn parse(
        mut parser: lexopt::Parser,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>> {
        use lexopt::prelude::*;
        let mut given = Given::default();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("broker") => given.broker = Some(parser.value()?.string()?),
                Long("topic") => given.topics.push(parser.value()?.string()?),
                Long("to") => given.to = Some(parser.value()?.string()?),
                Long("client-id") => given.client_id = Some(parser.value()?.string()?),
                Long("user") => given.user = Some(parser.value()?.string()?),
                Long("token-file") => given.token_file = Some(PathBuf::from(parser.value()?)),
                Long("content-type") => given.content_type = Some(parser.value()?.string()?),
                Long("retained") => given.takes_retained = true,
                Long("in-flight") => given.in_flight = Some(parser.value()?.parse()?),
                Short('h') | Long("help") => return Ok(None),
                other => bail!("{}; see --help", other.unexpected()),
            }
        }
        given.checked(environment).map(Some)
    }
}

impl Given {
    fn checked(self, environment: impl Fn(&str) -> Option<String>) -> Result<Options> {
        if self.topics.is_empty() {
            bail!("--topic FILTER is missing; see --help");
        }
        if let Some(bad) = self.topics.iter().find(|topic| !valid_filter(topic)) {
            bail!("--topic {bad}: not a filter of MQTT");
        }
        let client_id = self.client_id.unwrap_or_else(|| "isotherm-bridge".to_owned());
        if client_id.is_empty() || client_id.len() > CLIENT_ID_BYTES_MAX {
            bail!("--client-id: a session has a name, of at most {CLIENT_ID_BYTES_MAX} bytes");
        }
        let in_flight = self.in_flight.unwrap_or(16);
        if !(1..=IN_FLIGHT_MAX).contains(&in_flight) {
            bail!("--in-flight {in_flight}: 1 to {IN_FLIGHT_MAX}");
        }
        let password = || environment("MQTT_PASSWORD").unwrap_or_default();
        let token = match (self.token_file, environment("ISOTHERM_TOKEN")) {
            (Some(path), _) => Token::In(path),
            (None, Some(token)) => Token::Given(token),
            (None, None) => Token::None,
        };
        token.header()?;
        let content_type = self.content_type.as_deref().unwrap_or("application/json");
        Ok(Options {
            broker: broker(&self.broker.context("--broker HOST:PORT is missing; see --help")?)?,
            topics: self.topics,
            to: url(self.to.context("--to URL is missing; see --help")?)?,
            client_id,
            login: self.user.map(|user| (user, password())),
            token,
            content_type: HeaderValue::from_str(content_type).context("--content-type")?,
            takes_retained: self.takes_retained,
            in_flight,
        })
    }
}

/// Host and port; an address of IPv6 keeps its brackets.
fn broker(text: &str) -> Result<(String, u16)> {
    let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
    let is_whole = !host.contains(':') || host.starts_with('[') && host.ends_with(']');
    match port.parse() {
        Ok(port) if !host.is_empty() && is_whole => Ok((host.to_owned(), port)),
        _ => bail!("--broker {text}: a host and a port are needed, as 127.0.0.1:1883"),
    }
}

/// A URL of http with a path, and without a user, who would be on the command line. A mistake
/// in it would otherwise be tried again and again.
fn url(text: String) -> Result<String> {
    let parsed: Option<Uri> = text.parse().ok();
    let is_whole = parsed.is_some_and(|uri| {
        uri.scheme_str() == Some("http")
            && uri.path() != "/"
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
    });
    match is_whole {
        true => Ok(text),
        false => bail!("--to: a URL like http://127.0.0.1:3000/v1/readings is needed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: [&str; 6] =
        ["--broker", "b:1883", "--topic", "a/#", "--to", "http://127.0.0.1:3000/v1/readings"];

    fn parse(further: &[&str], environment: &[(&str, &str)]) -> Result<Options> {
        let parser = lexopt::Parser::from_args(WHOLE.iter().chain(further));
        let value = |name: &str| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Ok(Options::parse(parser, value)?.unwrap())
    }

    #[test]
    fn secrets_come_from_the_environment_or_a_file() {
        let secrets = [("MQTT_PASSWORD", "p"), ("ISOTHERM_TOKEN", "t")];
        let options = parse(&["--user", "u"], &secrets).unwrap();
        assert_eq!(options.login, Some(("u".to_owned(), "p".to_owned())));
        assert_eq!(options.token, Token::Given("t".to_owned()));
        assert_eq!(parse(&[], &[]).unwrap().token, Token::None);
        assert!(parse(&["--token-file", "/nonexistent"], &[]).is_err());
        for option in ["--token", "--password"] {
            assert!(parse(&[option, "secret"], &[]).is_err(), "{option}");
        }
    }

    #[test]
    fn a_mistake_is_told_before_anything_is_sent() {
        let options = parse(&["--topic", "b/+", "--in-flight", "1"], &[]).unwrap();
        assert_eq!((options.topics.len(), options.in_flight), (2, 1));
        assert_eq!(options.client_id, "isotherm-bridge");
        for bad in [
            ["--broker", "b"],
            ["--broker", ":1883"],
            ["--broker", "::1:1883"],
            ["--broker", "b:70000"],
            ["--topic", "a/#/b"],
            ["--topic", ""],
            ["--to", "https://127.0.0.1/v1/readings"],
            ["--to", "http://127.0.0.1:3000"],
            ["--to", "http://u:p@127.0.0.1/v1/readings"],
            ["--client-id", ""],
            ["--in-flight", "0"],
            ["--in-flight", "257"],
            ["--content-type", "a\nb"],
        ] {
            assert!(parse(&bad, &[]).is_err(), "{bad:?}");
        }
        assert_eq!(parse(&["--broker", "[::1]:1883"], &[]).unwrap().broker.0, "[::1]");
    }
}
