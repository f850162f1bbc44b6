//! Scopes: what a credential allows.
//!
//! | scope | allows |
//! | --- | --- |
//! | `write:<device>@<region>` | to send readings of these devices in these regions |
//! | `read:<region>` | to read what was measured in these regions |
//! | `source:<source>` | to send by these sources, whatever devices and regions they are of |
//! | `metrics` | to read `/metrics`; figures of regions and devices also need `read` |
//! | `sync:<node>@<region>` | to exchange readings of these nodes in these regions |
//! | `admin` | everything |
//!
//! A name in a scope may end with `*`, which stands for any rest: `read:hall.*`, `read:*`.

use std::fmt;

use crate::limits;

/// A name, or all names with a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    text: String,
    /// Whether other characters may follow.
    is_prefix: bool,
}

impl Pattern {
    /// Names have one rule (`domain::reading`), of which a pattern may have a part. No
    /// character of it has a meaning in SQL.
    fn parse(text: &str) -> Option<Self> {
        let (name, is_prefix) = match text.strip_suffix('*') {
            Some(prefix) => (prefix, true),
            None => (text, false),
        };
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-');
        let is_name = (is_prefix || !name.is_empty())
            && name.len() <= limits::NAME_BYTES_MAX
            && name.bytes().all(allowed);
        is_name.then(|| Self { text: name.to_owned(), is_prefix })
    }

    fn has(&self, name: &str) -> bool {
        match self.is_prefix {
            true => name.starts_with(&self.text),
            false => name == self.text,
        }
    }

    fn is_all(&self) -> bool {
        self.is_prefix && self.text.is_empty()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.text, if self.is_prefix { "*" } else { "" })
    }
}

/// One scope.
#[derive(Clone, Debug, PartialEq, Eq)]
enum One {
    Write { device: Pattern, region: Pattern },
    Read { region: Pattern },
    Sync { node: Pattern, region: Pattern },
    Source { source: Pattern },
    Metrics,
    Admin,
}

impl One {
    fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = match text.split_once(':') {
            Some((kind, rest)) => (kind, Some(rest)),
            None => (text, None),
        };
        let pair = |rest: &str| {
            let (first, second) = rest.split_once('@')?;
            Some((Pattern::parse(first)?, Pattern::parse(second)?))
        };
        match (kind, rest) {
            ("write", Some(rest)) => {
                pair(rest).map(|(device, region)| Self::Write { device, region })
            }
            ("read", Some(rest)) => Pattern::parse(rest).map(|region| Self::Read { region }),
            ("sync", Some(rest)) => pair(rest).map(|(node, region)| Self::Sync { node, region }),
            ("source", Some(rest)) => Pattern::parse(rest).map(|source| Self::Source { source }),
            ("metrics", None) => Some(Self::Metrics),
            ("admin", None) => Some(Self::Admin),
            _ => None,
        }
    }
}

impl fmt::Display for One {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write { device, region } => write!(f, "write:{device}@{region}"),
            Self::Read { region } => write!(f, "read:{region}"),
            Self::Sync { node, region } => write!(f, "sync:{node}@{region}"),
            Self::Source { source } => write!(f, "source:{source}"),
            Self::Metrics => f.write_str("metrics"),
            Self::Admin => f.write_str("admin"),
        }
    }
}

/// The scopes of a credential, at most `limits::SCOPES_MAX`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scopes(Vec<One>);

impl Scopes {
    /// Everything.
    pub(crate) fn all() -> Self {
        Self(vec![One::Admin])
    }

    /// Nothing.
    pub(crate) fn none() -> Self {
        Self(Vec::new())
    }

    /// From scopes with spaces between; `None` if one of them is none, or if there are
    /// none or too many.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::of(text.split_ascii_whitespace())
    }

    pub(crate) fn of<'a>(texts: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut scopes = Vec::new();
        for text in texts {
            if scopes.len() == limits::SCOPES_MAX {
                return None;
            }
            scopes.push(One::parse(text)?);
        }
        (!scopes.is_empty()).then_some(Self(scopes))
    }

    /// Those of them that change nothing.
    pub(crate) fn reading(&self) -> Self {
        if self.is_admin() {
            let everywhere = Pattern { text: String::new(), is_prefix: true };
            return Self(vec![One::Read { region: everywhere }, One::Metrics]);
        }
        let reads = |scope: &&One| matches!(scope, One::Read { .. } | One::Metrics);
        Self(self.0.iter().filter(reads).cloned().collect())
    }

    pub(crate) fn is_admin(&self) -> bool {
        self.0.contains(&One::Admin)
    }

    pub(crate) fn has_metrics(&self) -> bool {
        self.is_admin() || self.0.contains(&One::Metrics)
    }

    /// Whether some reading may be sent.
    pub(crate) fn writes_any(&self) -> bool {
        self.is_admin() || self.0.iter().any(|scope| matches!(scope, One::Write { .. }))
    }

    /// Whether every reading may be sent.
    pub(crate) fn writes_all(&self) -> bool {
        let all = |scope: &One| match scope {
            One::Write { device, region } => device.is_all() && region.is_all(),
            _ => false,
        };
        self.is_admin() || self.0.iter().any(all)
    }

    /// Whether a reading of the device in the region may be sent.
    pub(crate) fn may_write(&self, device_id: &str, in_region: &str) -> bool {
        self.is_admin()
            || self.0.iter().any(|scope| match scope {
                One::Write { device, region } => device.has(device_id) && region.has(in_region),
                _ => false,
            })
    }

    fn sources(&self) -> impl Iterator<Item = &Pattern> {
        self.0.iter().filter_map(|scope| match scope {
            One::Source { source } => Some(source),
            _ => None,
        })
    }

    /// Whether something may be sent by some source.
    pub(crate) fn sends_by_any(&self) -> bool {
        self.is_admin() || self.sources().next().is_some()
    }

    /// Whether anything may be sent by this source.
    pub(crate) fn may_send_by(&self, source: &str) -> bool {
        self.is_admin() || self.sources().any(|pattern| pattern.has(source))
    }

    /// Whether all that they allow is to send by one source: then the token is an ingest key,
    /// which may be in a URL.
    pub(crate) fn is_of_one_source(&self) -> bool {
        matches!(self.0.as_slice(), [One::Source { source }] if !source.is_prefix)
    }

    fn syncs(&self, name: &str) -> impl Iterator<Item = &Pattern> {
        self.0.iter().filter_map(move |scope| match scope {
            One::Sync { node, region } if node.has(name) => Some(region),
            _ => None,
        })
    }

    /// Whether some node may send what it has.
    pub(crate) fn syncs_any(&self) -> bool {
        self.is_admin() || self.0.iter().any(|scope| matches!(scope, One::Sync { .. }))
    }

    /// Whether the node of this name may send readings of some region.
    pub(crate) fn may_sync_as(&self, name: &str) -> bool {
        self.is_admin() || self.syncs(name).next().is_some()
    }

    /// Whether it may send readings of the region.
    pub(crate) fn may_sync(&self, name: &str, region: &str) -> bool {
        self.is_admin() || self.syncs(name).any(|pattern| pattern.has(region))
    }

    /// Whether it may send readings of all regions.
    pub(crate) fn may_sync_all(&self, name: &str) -> bool {
        self.is_admin() || self.syncs(name).any(Pattern::is_all)
    }

    fn readable(&self) -> impl Iterator<Item = &Pattern> {
        self.0.iter().filter_map(|scope| match scope {
            One::Read { region } => Some(region),
            _ => None,
        })
    }

    /// Whether some region may be read.
    pub(crate) fn reads_any(&self) -> bool {
        self.is_admin() || self.readable().next().is_some()
    }

    /// Whether every region may be read.
    pub(crate) fn reads_all(&self) -> bool {
        self.is_admin() || self.readable().any(Pattern::is_all)
    }

    /// Whether the region may be read.
    pub(crate) fn may_read(&self, region: &str) -> bool {
        self.is_admin() || self.readable().any(|pattern| pattern.has(region))
    }

    /// The regions that may be read.
    pub(crate) fn regions(&self) -> Readable {
        if self.reads_all() {
            return Readable::All;
        }
        Readable::Some(self.readable().map(ToString::to_string).collect())
    }

    /// Each scope as text.
    pub(crate) fn texts(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(ToString::to_string)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.texts().collect::<Vec<_>>().join(" "))
    }
}

/// The regions that may be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Readable {
    All,
    /// Of these names, or with these prefixes before a `*`.
    Some(Vec<String>),
}

impl Readable {
    /// Whether the region is one of them.
    pub(crate) fn has(&self, region: &str) -> bool {
        match self {
            Self::All => true,
            Self::Some(patterns) => {
                patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
                    Some(prefix) => region.starts_with(prefix),
                    None => region == pattern,
                })
            }
        }
    }

    /// The same as a condition in SQL on `column`, which has the name of a region. A
    /// pattern has no quote, and no other character with a meaning in GLOB than its last.
    pub(crate) fn condition(&self, column: &str) -> String {
        match self {
            Self::All => "1".to_owned(),
            Self::Some(patterns) if patterns.is_empty() => "0".to_owned(),
            Self::Some(patterns) => {
                let one = |pattern: &String| match pattern.ends_with('*') {
                    true => format!("{column} GLOB '{pattern}'"),
                    false => format!("{column} = '{pattern}'"),
                };
                format!("({})", patterns.iter().map(one).collect::<Vec<_>>().join(" OR "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn scopes_are_read_back_as_they_were_written() {
        for text in [
            "read:hall",
            "read:*",
            "read:hall.* metrics",
            "write:*@cold-room",
            "write:t-*@eu:de.* read:eu:de.*",
            "sync:north@*",
            "source:cellar",
            "source:* read:hall",
            "admin",
        ] {
            assert_eq!(Scopes::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Scopes::parse(" read:a\n metrics ").unwrap().to_string(), "read:a metrics");
    }

    #[test]
    fn what_is_no_scope_is_refused_with_all_of_the_others() {
        let (long, many) = ("x".repeat(65), "metrics ".repeat(limits::SCOPES_MAX + 1));
        for bad in [
            "",
            " ",
            "read",
            "read:",
            "write:a",
            "write:a@",
            "write:@a",
            "read:**",
            "source",
            "source:",
            "read:a*b",
            "read:*a",
            "read:a b@c",
            "admin:x",
            "metrics:*",
            "Read:a",
            "read:a'b",
            "read:[a]",
            "read:a?",
            "metrics write",
            "root",
            "write:a@b@c",
            &format!("read:{long}"),
            &many,
        ] {
            assert_eq!(Scopes::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_scope_allows_what_it_names_and_nothing_else() {
        let scopes = Scopes::parse("write:t-*@hall.* read:hall.north read:yard*").unwrap();
        for (device, region, expected) in [
            ("t-1", "hall.north", true),
            ("t-", "hall.", true),
            ("t", "hall.north", false),
            ("t-1", "hall", false),
            ("x-t-1", "hall.north", false),
        ] {
            assert_eq!(scopes.may_write(device, region), expected, "{device}@{region}");
        }
        for (region, expected) in [
            ("hall.north", true),
            ("hall.north2", false),
            ("hall", false),
            ("yard", true),
            ("yard.2", true),
            ("Yard", false),
        ] {
            assert_eq!(scopes.may_read(region), expected, "{region}");
            assert_eq!(scopes.regions().has(region), expected, "{region}");
        }
        assert!(scopes.writes_any() && !scopes.writes_all());
        assert!(scopes.reads_any() && !scopes.reads_all());
        assert!(!scopes.is_admin() && !scopes.has_metrics());
        assert_eq!(scopes.reading().to_string(), "read:hall.north read:yard*");
        assert!(Scopes::parse("write:*@*").unwrap().writes_all());
        assert!(!Scopes::parse("metrics").unwrap().reads_any());
    }

    #[test]
    fn admin_is_everything_and_its_session_reads_everything() {
        let admin = Scopes::all();
        assert!(admin.is_admin() && admin.has_metrics() && admin.reads_all());
        assert!(admin.may_write("d", "r") && admin.writes_all() && admin.may_read("r"));
        assert_eq!(admin.reading().to_string(), "read:* metrics");
    }

    #[test]
    fn a_condition_names_the_regions() {
        let condition = |text: &str| Scopes::parse(text).unwrap().regions().condition("r.name");
        assert_eq!(condition("read:*"), "1");
        assert_eq!(condition("metrics"), "0");
        assert_eq!(condition("read:a read:b.*"), "(r.name = 'a' OR r.name GLOB 'b.*')");
    }

    /// Names of three letters, so that many begin like another.
    fn name() -> impl Strategy<Value = String> {
        "[ab.]{1,3}"
    }

    fn pattern() -> impl Strategy<Value = String> {
        "[ab.]{1,3}|[ab.]{0,2}\\*"
    }

    /// The rule again, letter by letter.
    fn fits(pattern: &str, name: &str) -> bool {
        match (pattern.chars().next(), name.chars().next()) {
            (Some('*'), _) | (None, None) => true,
            (Some(p), Some(n)) => p == n && fits(&pattern[1..], &name[1..]),
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    proptest! {
        #[test]
        fn any_scopes_allow_what_their_patterns_fit(
            reads in proptest::collection::vec(pattern(), 0..4),
            writes in proptest::collection::vec((pattern(), pattern()), 0..4),
            others in proptest::collection::vec(
                proptest::sample::select(vec!["metrics", "sync:*@*", "sync:a@b"]), 0..2),
            device in name(), region in name(),
        ) {
            let texts = reads.iter().map(|region| format!("read:{region}"));
            let texts = texts.chain(writes.iter().map(|(d, r)| format!("write:{d}@{r}")));
            let texts: Vec<String> = texts.chain(others.iter().map(ToString::to_string)).collect();
            let Some(scopes) = Scopes::of(texts.iter().map(String::as_str)) else {
                prop_assert!(texts.is_empty());
                return Ok(());
            };
            let may_read = reads.iter().any(|pattern| fits(pattern, &region));
            prop_assert_eq!(scopes.may_read(&region), may_read);
            prop_assert_eq!(scopes.regions().has(&region), may_read);
            prop_assert_eq!(scopes.reads_any(), !reads.is_empty());
            prop_assert_eq!(scopes.reads_all(), reads.iter().any(|pattern| pattern == "*"));
            let may_write = writes.iter().any(|(d, r)| fits(d, &device) && fits(r, &region));
            prop_assert_eq!(scopes.may_write(&device, &region), may_write);
            prop_assert_eq!(scopes.writes_any(), !writes.is_empty());
            let everything = |(d, r): &(String, String)| d == "*" && r == "*";
            prop_assert_eq!(scopes.writes_all(), writes.iter().any(everything));
            prop_assert_eq!(scopes.has_metrics(), others.contains(&"metrics"));
            prop_assert!(!scopes.is_admin());
            let session = scopes.reading();
            prop_assert_eq!(session.may_read(&region), may_read);
            prop_assert!(!session.writes_any());
            prop_assert_eq!(Scopes::parse(&scopes.to_string()), Some(scopes));
        }

        #[test]
        fn any_text_is_scopes_or_none(text in r"\PC{0,60}", near in "[a-z:*@. ]{0,40}") {
            for text in [text, near] {
                if let Some(scopes) = Scopes::parse(&text) {
                    let words: Vec<&str> = text.split_ascii_whitespace().collect();
                    prop_assert_eq!(scopes.to_string(), words.join(" "));
                }
            }
        }
    }
}
