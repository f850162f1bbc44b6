//! What an answer may lack, as a node that sends to this one is behind or silent.

use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::host::Host;
use crate::ledger::database::Database;
use crate::ledger::received::{self, KnownSender};
use crate::settings;

/// The steps in which an estimate grows.
const STEP_MS: i64 = 10_000;

const HOUR_MS: i64 = 60 * UnixMillis::PER_MINUTE;

/// Whether the sender has not been heard of for so long. A contact far ahead is one from before
/// this node's clock was set back.
pub(crate) fn is_silent(sender: &KnownSender, silent_ms: i64, now: UnixMillis) -> bool {
    now.get().abs_diff(sender.contact.get()) > silent_ms.unsigned_abs()
}

impl KnownSender {
    /// How many readings of it are missing: those that it said it had to send; and, while it
    /// is silent, as many as it had in the hour before, for each hour since. An estimate.
    pub(crate) fn missing(&self, silent_ms: i64, now: UnixMillis) -> i64 {
        if !is_silent(self, silent_ms, now) {
            return self.waiting;
        }
        // In steps, so that the same answer is the same for a while.
        let since_ms = now.get().saturating_sub(self.contact.get()).max(0);
        let since_ms = since_ms - since_ms % STEP_MS;
        let expected = i128::from(since_ms) * i128::from(self.last_hour) / i128::from(HOUR_MS);
        self.waiting.saturating_add(i64::try_from(expected).unwrap_or(i64::MAX))
    }
}

/// The senders as an answer's coverage has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Senders {
    pub(crate) count: usize,
    /// Those not heard of for longer than `sender_silent_after`.
    pub(crate) silent: usize,
    /// Their names, those that were heard of longest ago first; at most `NAMED_MAX`, and `+7`
    /// for seven others. One without a name is named by its id.
    pub(crate) silent_names: String,
    /// The oldest time of which one of them has said what it has.
    pub(crate) as_of: Option<UnixMillis>,
    /// Readings that are missing: see `KnownSender::missing`.
    pub(crate) missing: i64,
}

/// How many silent nodes an answer's coverage names: it is in a header, too.
const NAMED_MAX: usize = 5;

fn names_of(mut silent: Vec<&KnownSender>) -> String {
    silent.sort_by_key(|one| one.contact);
    let name = |one: &&KnownSender| match one.name.is_empty() {
        true => one.node.to_string(),
        false => one.name.clone(),
    };
    let mut names: Vec<String> = silent.iter().take(NAMED_MAX).map(name).collect();
    let others = silent.len().saturating_sub(NAMED_MAX);
    names.extend((others > 0).then(|| format!("+{others}")));
    names.join(" ")
}

/// The senders as an answer's coverage has them.
pub(crate) fn senders<H: Host>(
    database: &Database<'_, H>,
    now: UnixMillis,
) -> Result<Senders, Error> {
    let all = database.read(received::senders)?;
    if all.is_empty() {
        return Ok(Senders::default());
    }
    let silent_ms = settings::sender_silent_ms(database.host())?;
    let silent: Vec<&KnownSender> =
        all.iter().filter(|one| is_silent(one, silent_ms, now)).collect();
    Ok(Senders {
        count: all.len(),
        silent: silent.len(),
        silent_names: names_of(silent),
        as_of: all.iter().map(|one| one.as_of).min(),
        missing: all.iter().map(|one| one.missing(silent_ms, now)).fold(0, i64::saturating_add),
    })
}
