//! The nodes that `cargo xtask up --peer` sends to.

use anyhow::{Result, bail};

/// How many there can be: `spin.toml` has a variable for each.
const PEERS_MAX: usize = 3;

/// The token for the peer, if there is one peer.
const PEER_TOKEN: &str = "ISOTHERM_PEER_TOKEN";

/// How often a node sends what waits.
pub(crate) const BEAT: &str = "10s";

/// The peers, and the name by which they know this node.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    origins: Vec<String>,
    node: Option<String>,
}

impl Peers {
    /// Adds a peer by its origin.
    pub(crate) fn add(&mut self, url: &str) -> Result<()> {
        if self.origins.len() == PEERS_MAX {
            bail!("--peer {url}: a node has {PEERS_MAX} peers at most");
        }
        let origin = origin(url)?;
        if self.origins.contains(&origin) {
            bail!("--peer {url} is given twice");
        }
        self.origins.push(origin);
        Ok(())
    }

    /// Sets the node's name.
    pub(crate) fn name(&mut self, name: String) -> Result<()> {
        let is_of_names = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
        if !(1..=64).contains(&name.len()) || !name.bytes().all(is_of_names) {
            bail!("--node {name}: 1 to 64 of A-Z a-z 0-9 . _ : - are needed");
        }
        self.node = Some(name);
        Ok(())
    }

    pub(crate) fn origins(&self) -> &[String] {
        &self.origins
    }

    /// The variables that it sets, with their values.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        let numbered = (1..).zip(&self.origins);
        let peers = numbered.map(|(number, origin)| (format!("peer{number}"), origin.clone()));
        let node = self.node.iter().map(|name| ("node".to_owned(), name.clone()));
        peers.chain(node).collect()
    }

    /// Fails if one of its variables is given in another way, too: which one counts would
    /// depend on the runtime.
    pub(crate) fn check_alone(
        &self,
        given: &[String],
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<()> {
        for (name, _) in self.variables() {
            let is_given = |pair: &String| pair.split_once('=').is_some_and(|(n, _)| n == name);
            let of_environment = environment(&format!("SPIN_VARIABLE_{}", name.to_uppercase()));
            if given.iter().any(is_given) || of_environment.is_some() {
                let flag = if name == "node" { "--node" } else { "--peer" };
                bail!("{flag} sets the variable {name}; leave one of them out");
            }
        }
        Ok(())
    }

    /// What the runtime gets by its environment, as others can't see that: the peer's token.
    pub(crate) fn environment(
        &self,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<(&'static str, String)>> {
        const OF_FIRST: &str = "SPIN_VARIABLE_PEER1_TOKEN";
        let Some(token) = environment(PEER_TOKEN).filter(|_| !self.origins.is_empty()) else {
            return Ok(None);
        };
        if self.origins.len() > 1 {
            bail!(
                "{PEER_TOKEN} is for one peer, and there are {}; set {OF_FIRST} and so on",
                self.origins.len()
            );
        }
        if environment(OF_FIRST).is_some() {
            bail!("{PEER_TOKEN} and {OF_FIRST} are both set; leave one of them out");
        }
        Ok(Some((OF_FIRST, token)))
    }
}

/// The origin of a URL that has nothing else.
fn origin(url: &str) -> Result<String> {
    let example = "an origin like https://hub.example or http://10.0.0.2:3000";
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let Some(rest) = rest else { bail!("--peer {url}: {example} is needed") };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if let Some((host, _)) = rest.split_once(['/', '?', '#']) {
        let scheme = url.split("://").next().unwrap_or_default();
        bail!(
            "--peer {url}: a peer is named without a path, as {scheme}://{host}; readings go to \
             its /v1/readings"
        );
    }
    let is_of_origins = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte);
    if rest.is_empty() || !rest.bytes().all(is_of_origins) {
        // It may have a password in it.
        bail!("--peer: {example} is needed, without a user");
    }
    Ok(url.strip_suffix('/').unwrap_or(url).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(urls: &[&str]) -> Result<Peers> {
        let mut peers = Peers::default();
        urls.iter().try_for_each(|url| peers.add(url))?;
        Ok(peers)
    }

    #[test]
    fn peers_are_origins_in_their_order() {
        let mut peers = peers(&["https://hub.example/", "http://10.0.0.2:3000"]).unwrap();
        peers.name("gw-7".to_owned()).unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = [
            pair("peer1", "https://hub.example"),
            pair("peer2", "http://10.0.0.2:3000"),
            pair("node", "gw-7"),
        ];
        assert_eq!(peers.variables(), expected);
        for name in ["", "a b", &"x".repeat(65)] {
            assert!(Peers::default().name(name.to_owned()).is_err(), "{name}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused_with_the_one_that_is_meant() {
        let said = |urls: &[&str]| peers(urls).unwrap_err().to_string();
        let path = said(&["https://hub.example/v1/readings"]);
        assert!(path.contains("without a path, as https://hub.example;"), "{path}");
        for wrong in ["hub.example", "ftp://hub.example", "http://", "http:///", ""] {
            assert!(said(&[wrong]).contains("an origin like"), "{wrong}");
        }
        assert!(!said(&["http://me:hush@hub.example"]).contains("hush"));
        assert!(said(&["http://a", "http://a/"]).contains("twice"));
        assert!(said(&["http://a", "http://b", "http://c", "http://d"]).contains("3 peers"));
    }

    #[test]
    fn a_token_is_for_one_peer_and_a_variable_is_set_once() {
        let token = |name: &str| (name == PEER_TOKEN).then(|| "t".to_owned());
        let both = |name: &str| (name != "SPIN_VARIABLE_PEER1").then(|| "t".to_owned());
        let one = peers(&["http://a"]).unwrap();
        let expected = Some(("SPIN_VARIABLE_PEER1_TOKEN", "t".to_owned()));
        assert_eq!(one.environment(&token).unwrap(), expected);
        assert_eq!(one.environment(&|_| None).unwrap(), None);
        assert!(one.environment(&both).is_err());
        assert!(peers(&["http://a", "http://b"]).unwrap().environment(&token).is_err());
        assert_eq!(Peers::default().environment(&token).unwrap(), None);

        assert!(one.check_alone(&["peer2=x".to_owned()], &token).is_ok());
        assert!(one.check_alone(&["peer1=x".to_owned()], &token).is_err());
        let set = |name: &str| (name == "SPIN_VARIABLE_PEER1").then(|| "x".to_owned());
        assert!(one.check_alone(&[], &set).is_err());
    }
}
