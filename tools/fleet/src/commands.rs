//! What one types: to break the fleet, and to look at it.

use std::sync::PoisonError;

use anyhow::{Context, Result, bail};

use crate::{Fleet, GATEWAYS, HUB};

/// The commands.
pub(super) const HELP: &str = "
    status                      each node: its readings, and what the hub says of it
    cut 2        heal 2         takes the link from gateway 2 to the hub away; gives it back
    kill 2       start 2        ends gateway 2 with kill -9; starts it again (or the hub)
    backup hub   restore hub    copies the hub's stores; goes back to the last copy
    help         quit           quit ends all nodes, as do Ctrl-C and the end of input
";

/// A node by what one types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Hub,
    /// By its number, from 1 on.
    Gateway(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Status,
    Cut(usize),
    Heal(usize),
    Kill(Who),
    Start(Who),
    Backup,
    Restore,
    Help,
    Quit,
}

impl Command {
    /// The command of a line; `None` if the line is empty. An error says what to type.
    pub(super) fn parse(line: &str) -> Result<Option<Self>, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let command = match words[..] {
            [] => return Ok(None),
            ["status"] => Self::Status,
            ["help"] => Self::Help,
            ["quit" | "exit"] => Self::Quit,
            ["cut", who] => Self::Cut(gateway(who)?),
            ["heal", who] => Self::Heal(gateway(who)?),
            ["kill", who] => Self::Kill(Who::parse(who)?),
            ["start", who] => Self::Start(Who::parse(who)?),
            ["backup", HUB] => Self::Backup,
            ["restore", HUB] => Self::Restore,
            ["backup" | "restore", ..] => {
                return Err("only the hub has backups: backup hub, restore hub".to_owned());
            }
            ["cut" | "heal" | "kill" | "start"] => {
                return Err(format!("{} needs a gateway, as in: {} 2", line.trim(), line.trim()));
            }
            _ => return Err(format!("there is no command {:?}; try help", line.trim())),
        };
        Ok(Some(command))
    }
}

impl Who {
    fn parse(word: &str) -> Result<Self, String> {
        match word {
            HUB => Ok(Self::Hub),
            word => gateway(word).map(Self::Gateway),
        }
    }
}

fn gateway(word: &str) -> Result<usize, String> {
    let number = word.strip_prefix("gateway-").unwrap_or(word).parse().ok();
    number
        .filter(|number| (1..=GATEWAYS).contains(number))
        .ok_or_else(|| format!("there is no gateway {word}; there are 1 to {GATEWAYS}"))
}

impl Fleet {
    /// Does it, and says what came of it.
    pub(super) fn carry_out(&mut self, command: Command) -> Result<String> {
        Ok(match command {
            Command::Status => self.status(),
            Command::Help | Command::Quit => HELP.to_owned(),
            Command::Cut(number) => {
                self.gateway(number)?.proxy.cut();
                format!("gateway-{number} can't reach the hub.")
            }
            Command::Heal(number) => {
                self.gateway(number)?.proxy.heal();
                format!("gateway-{number} can reach the hub again; it tries within 30 s.")
            }
            Command::Kill(who) => {
                let node = self.node(who)?;
                node.kill()?;
                format!("{} is killed.", node.name())
            }
            Command::Start(who) => {
                let node = self.node(who)?;
                node.start()?;
                format!("{} serves http://{}/", node.name(), node.address())
            }
            Command::Backup => {
                self.backup.lock().unwrap_or_else(PoisonError::into_inner).make()?;
                "The hub has a backup.".to_owned()
            }
            Command::Restore => {
                self.restore()?;
                "The hub is what it was at its last backup. The gateways notice it when they \
                 send next."
                    .to_owned()
            }
        })
    }

    /// Goes back to the last backup. Without one the hub goes on running.
    fn restore(&mut self) -> Result<()> {
        let backup = self.backup.lock().unwrap_or_else(PoisonError::into_inner);
        if !backup.is_there() {
            bail!("the hub has no backup yet; `backup hub` makes one");
        }
        self.hub.stop();
        backup.restore()?;
        self.hub.start()
    }

    fn gateway(&mut self, number: usize) -> Result<&mut super::Gateway> {
        let index = number.checked_sub(1).context("gateways begin with 1")?;
        self.gateways.get_mut(index).with_context(|| format!("there is no gateway {number}"))
    }

    fn node(&mut self, who: Who) -> Result<&mut super::Node> {
        match who {
            Who::Hub => Ok(&mut self.hub),
            Who::Gateway(number) => Ok(&mut self.gateway(number)?.node),
        }
    }

    /// The names of the nodes, and the addresses of their pages.
    pub(super) fn table(&self) -> String {
        let nodes = self.gateways.iter().map(|gateway| &gateway.node);
        let nodes = std::iter::once(&self.hub).chain(nodes);
        nodes.map(|node| format!("\n    {:<12} http://{}/", node.name(), node.address())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_what_help_shows_and_others_are_explained() {
        let parse = |line: &str| Command::parse(line);
        assert_eq!(parse("  "), Ok(None));
        assert_eq!(parse("cut 2"), Ok(Some(Command::Cut(2))));
        assert_eq!(parse(" heal  gateway-3 "), Ok(Some(Command::Heal(3))));
        assert_eq!(parse("kill hub"), Ok(Some(Command::Kill(Who::Hub))));
        assert_eq!(parse("start 1"), Ok(Some(Command::Start(Who::Gateway(1)))));
        for (line, said) in [
            ("cut 4", "1 to 3"),
            ("cut 0", "1 to 3"),
            ("cut hub", "no gateway hub"),
            ("cut", "as in: cut 2"),
            ("restore 2", "only the hub"),
            ("dance", "try help"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(said), "{line}: {error}");
        }
        let mut shown = 0;
        for line in HELP.lines().filter(|line| !line.is_empty()) {
            let mut columns: Vec<&str> =
                line.split("  ").map(str::trim).filter(|word| !word.is_empty()).collect();
            columns.pop();
            for command in columns {
                assert!(matches!(parse(command), Ok(Some(_))), "{command}");
                shown += 1;
            }
        }
        assert_eq!(shown, 9);
    }
}
