//! The peers: the variables that name them, and what is kept of each.

use crate::access::secret::Secret;
use crate::domain::exchange::{Anchor, NodeId};
use crate::domain::reading::{Region, UnixMillis};
use crate::error::Error;
use crate::host::{Host, Sql, Value};
use crate::ledger::database::Database;
use crate::ledger::integers;
use crate::ledger::outbox::{self, PeerNumber};
use crate::ledger::received::anchor_of;
use crate::limits;

/// The variables of the peers' origins, and of the tokens for them.
pub(crate) const PEERS: [(&str, &str); 3] =
    [("peer1", "peer1_token"), ("peer2", "peer2_token"), ("peer3", "peer3_token")];

/// The origin that stands for none: a runtime needs some origin in its list of allowed
/// hosts. The top-level domain is reserved (RFC 2606).
const NONE: &str = "https://peer.invalid";

/// A peer as the variables name it.
#[derive(Clone)]
pub struct Configured {
    pub(crate) peer: PeerNumber,
    /// Scheme, host and port, without a path.
    pub(crate) origin: String,
    pub(crate) token: Option<Secret>,
}

impl Configured {
    /// The peer of this number, at this origin, without a token.
    pub fn new(peer: PeerNumber, origin: &str) -> Self {
        Self { peer, origin: origin.to_owned(), token: None }
    }
}

/// Makes the database know these peers and no others.
pub fn register_in<H: Host>(
    database: &Database<'_, H>,
    configured: &[Configured],
    now: UnixMillis,
) -> Result<(), Error> {
    database.transaction(|sql| register(sql, configured, now))
}

/// The peers that the variables name, in their order.
pub(crate) fn configured(host: &impl Host) -> Result<Vec<Configured>, Error> {
    let mut all = Vec::new();
    for (number, (name, token)) in (1..).zip(PEERS) {
        let value = host.variable(name).map_err(Error::Variables)?.unwrap_or_default();
        let origin = value.trim().trim_end_matches('/');
        if origin.is_empty() || origin.eq_ignore_ascii_case(NONE) {
            continue;
        }
        if !is_origin(origin) {
            let cause = "must be an origin, like https://hub.example or http://10.0.0.2:3000";
            return Err(Error::Misconfigured { variable: name, cause: cause.into() });
        }
        let token = host.variable(token).map_err(Error::Variables)?;
        let token = token.filter(|token| !token.trim().is_empty());
        let token = token.map(|token| Secret::new(token.trim().to_owned()));
        all.push(Configured { peer: number, origin: origin.to_owned(), token });
    }
    Ok(all)
}

/// Reads the variables that name this node and its peers.
pub(crate) fn check(host: &impl Host) -> Result<(), Error> {
    configured(host)?;
    node_name(host)?;
    Ok(())
}

fn is_origin(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && rest.len() <= limits::ORIGIN_BYTES_MAX
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte))
    })
}

/// The node's name for people: the variable `node`. Empty if it has none.
pub(crate) fn node_name(host: &impl Host) -> Result<String, Error> {
    const NAME: &str = "node";
    let name = host.variable(NAME).map_err(Error::Variables)?.unwrap_or_default();
    let name = name.trim().to_owned();
    match name.is_empty() || Region::new(name.as_str()).is_some() {
        true => Ok(name),
        false => {
            let cause = "must be a name: 1 to 64 of A-Z a-z 0-9 . _ : -";
            Err(Error::Misconfigured { variable: NAME, cause: cause.into() })
        }
    }
}

/// What is kept of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) peer: PeerNumber,
    pub(crate) origin: String,
    pub(crate) since: i64,
    /// Its id, as it said last.
    pub(crate) node: Option<NodeId>,
    pub(crate) anchor: Option<Anchor>,
    /// It takes readings from this time on.
    pub(crate) takes_from: UnixMillis,
    /// The most readings of a batch.
    pub(crate) readings_max: i64,
    pub(crate) tried: Option<UnixMillis>,
    pub(crate) answered: Option<UnixMillis>,
    pub(crate) failures: i64,
    /// Nothing is sent before.
    pub(crate) wait_until: i64,
    pub(crate) error: Option<String>,
    pub(crate) sends: i64,
    pub(crate) sent_bytes: i64,
    pub(crate) sent_readings: i64,
    pub(crate) again: i64,
}

/// All peers that the database knows.
pub(crate) fn all(sql: &impl Sql) -> Result<Vec<Peer>, Error> {
    let statement = "\
        SELECT origin, error, node, anchor_batch, anchor_mark, peer, since, takes_from, \
               readings_max, coalesce(tried, -1), coalesce(answered, -1), failures, wait_until, \
               sends, sent_bytes, sent_readings, again \
        FROM peers ORDER BY peer";
    let rows = sql.execute(statement, &[]).map_err(Error::Regions)?;
    rows.iter().map(|row| peer(row)).collect::<Option<_>>().ok_or(Error::Corrupt("peer"))
}

/// The peer of this number.
pub(crate) fn one(sql: &impl Sql, peer: PeerNumber) -> Result<Option<Peer>, Error> {
    Ok(all(sql)?.into_iter().find(|known| known.peer == peer))
}

fn peer(row: &[Value]) -> Option<Peer> {
    let [Value::Text(origin), error, node, rest @ ..] = row else { return None };
    let (anchor, numbers) = rest.split_first_chunk::<2>()?;
    let error = match error {
        Value::Text(error) => Some(error.clone()),
        _ => None,
    };
    let node = match node {
        Value::Blob(id) => Some(NodeId(id.as_slice().try_into().ok()?)),
        _ => None,
    };
    let anchor = match anchor {
        [Value::Null, _] => None,
        anchor => Some(anchor_of(anchor)?),
    };
    let [
        peer,
        since,
        takes_from,
        readings_max,
        tried,
        answered,
        failures,
        wait_until,
        sends,
        sent_bytes,
        sent_readings,
        again,
    ] = integers(numbers)?;
    Some(Peer {
        peer,
        origin: origin.clone(),
        since,
        node,
        anchor,
        takes_from: UnixMillis::new(takes_from)?,
        readings_max,
        tried: UnixMillis::new(tried),
        answered: UnixMillis::new(answered),
        failures,
        wait_until,
        error,
        sends,
        sent_bytes,
        sent_readings,
        again,
    })
}

/// Makes the database know these peers and no others. All readings wait for a new one; of one
/// that is not named any more nothing is kept.
///
/// Must run inside a transaction that holds the write lock.
pub(crate) fn register(
    sql: &impl Sql,
    configured: &[Configured],
    now: UnixMillis,
) -> Result<(), Error> {
    let known = all(sql)?;
    for gone in known.iter().filter(|known| configured.iter().all(|one| one.peer != known.peer)) {
        outbox::empty(sql, gone.peer)?;
        let statement = "DELETE FROM peers WHERE peer = ?1";
        sql.execute(statement, &[Value::Integer(gone.peer)]).map_err(Error::Regions)?;
    }
    for one in configured {
        let (number, origin) = (Value::Integer(one.peer), Value::Text(one.origin.clone()));
        match known.iter().find(|known| known.peer == one.peer) {
            Some(known) if known.origin == one.origin => {}
            Some(_) => {
                let statement = "UPDATE peers SET origin = ?2, wait_until = 0 WHERE peer = ?1";
                sql.execute(statement, &[number, origin]).map_err(Error::Regions)?;
            }
            None => {
                let statement = "INSERT INTO peers (peer, origin, since, readings_max) \
                                 VALUES (?1, ?2, ?3, ?4)";
                let most = i64::try_from(limits::READINGS_PER_REQUEST_MAX).unwrap_or(i64::MAX);
                let bindings = [number, origin, Value::Integer(now.get()), Value::Integer(most)];
                sql.execute(statement, &bindings).map_err(Error::Regions)?;
                outbox::refill(sql, one.peer)?;
            }
        }
    }
    Ok(())
}
