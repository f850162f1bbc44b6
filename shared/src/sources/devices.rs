//! The table of a source's devices: which device and region an id of the sender is, and since
//! when.
//!
//! An id that several rows have belongs to a sensor that was moved: the row counts that was
//! the newest when the value was measured. So a late reading goes to where the sensor was.

use std::borrow::Cow;

use crate::base::checksum;
use crate::base::sort;
use crate::domain::reading::DeviceId;
use crate::domain::reading::Region;
use crate::domain::reading::UnixMillis;
use crate::limits;
use crate::sources::csv;
use crate::sources::glob;
use crate::sources::json;
use crate::sources::scope::echo;
use crate::sources::steps::Steps;
use crate::sources::steps::TooCostly;
use crate::sources::tree::Node;
use crate::sources::tree::Unread;
use crate::wire::item;

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The id as it is sent, or a glob if there is a `*` in it: 1 to
    /// `limits::SOURCE_ID_CHARS_MAX` characters, none of them a control character.
    pub(crate) id: String,
    pub(crate) device: DeviceId<'static>,
    pub(crate) region: Region<'static>,
    /// From when on the row holds; `None` is always.
    pub(crate) since: Option<UnixMillis>,
}

/// Rows in the order of ids, and of each id in that of `since`. No two have both in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeviceTable {
    exact: Vec<Row>,
    globs: Vec<Row>,
}

/// What is wrong with a table, and in which line, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableError {
    pub(crate) line: usize,
    pub(crate) detail: String,
}

/// The columns of a table. `since` may be absent.
const COLUMNS: [&str; 4] = ["id", "device", "region", "since"];

impl DeviceTable {
    /// Parses a table with a header line and a row a line: `id,device,region,since`.
    pub(crate) fn parse_csv(text: &str) -> Result<Self, TableError> {
        let mut rows = csv::Rows::of(text.strip_prefix('\u{feff}').unwrap_or(text), ',');
        let names = csv::header(&mut rows).map_err(|unread| at_line(1, unread))?;
        if let Some(name) = names.iter().find(|name| !COLUMNS.contains(&name.as_ref())) {
            let known = COLUMNS.join(", ");
            let detail = format!("unknown column {}; known: {known}", echo(name));
            return Err(TableError { line: 1, detail });
        }
        let mut parsed = Vec::new();
        while let Some(row) = rows.next_row().map_err(|unread| at_line(0, unread))? {
            let line = row.0;
            let node = csv::object(&names, row).map_err(|unread| at_line(line, unread))?;
            push(&mut parsed, line, &node)?;
        }
        Self::of(parsed)
    }

    /// Parses a table of an object a line, in JSON.
    pub(crate) fn parse_ndjson(text: &str) -> Result<Self, TableError> {
        let mut parsed = Vec::new();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, text) in text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
            let node = json::parse(text).map_err(|unread| at_line(index + 1, unread))?;
            push(&mut parsed, index + 1, &node)?;
        }
        Self::of(parsed)
    }

    /// The table of rows, each with its line.
    fn of(mut rows: Vec<(usize, Row)>) -> Result<Self, TableError> {
        sort(&mut rows);
        for pair in rows.windows(2) {
            if let [(first, a), (line, b)] = pair
                && (&a.id, a.since) == (&b.id, b.since)
            {
                let detail =
                    format!("the id {} is in line {first}, with this `since`", echo(&a.id));
                return Err(TableError { line: *line, detail });
            }
        }
        let is_glob = |row: &Row| row.id.contains('*');
        let ids = rows.chunk_by(|(_, a), (_, b)| a.id == b.id).filter_map(<[_]>::first);
        if let Some((line, _)) = ids.filter(|(_, row)| is_glob(row)).nth(limits::DEVICE_GLOBS_MAX) {
            let detail = format!("more than {} ids with a *", limits::DEVICE_GLOBS_MAX);
            return Err(TableError { line: *line, detail });
        }
        let (globs, exact) = rows.into_iter().map(|(_, row)| row).partition(is_glob);
        Ok(Self { exact, globs })
    }

    /// The same with this row, in the place of the one with its id and `since`, if there is one.
    pub(crate) fn with(&self, row: Row) -> Result<Self, TableError> {
        let is_other = |other: &&Row| (&other.id, other.since) != (&row.id, row.since);
        let mut rows: Vec<(usize, Row)> =
            self.rows().filter(is_other).map(|other| (1, other.clone())).collect();
        if rows.len() == limits::DEVICE_ROWS_MAX {
            let detail = format!("more than {} rows", limits::DEVICE_ROWS_MAX);
            return Err(TableError { line: 1, detail });
        }
        rows.push((1, row));
        Self::of(rows)
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.exact.len() + self.globs.len()
    }

    /// All rows: those with ids first, then those with globs, each in their order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.exact.iter().chain(&self.globs)
    }

    /// The row of a device as it was sent, for a value measured at this time: among those of
    /// the id itself, or else of the longest glob that matches it, the one with the latest
    /// `since`. `None` if there is no row for it, or none so early.
    pub(crate) fn lookup(
        &self,
        id: &str,
        at: UnixMillis,
        steps: &mut Steps,
    ) -> Result<Option<&Row>, TooCostly> {
        steps.take(id.len())?;
        let begin = self.exact.partition_point(|row| row.id.as_str() < id);
        let exact = self.exact.get(begin..).unwrap_or_default();
        if exact.first().is_some_and(|row| row.id == id) {
            return Ok(valid_at(exact.iter().take_while(|row| row.id == id), at));
        }
        let Some(glob) = self.longest_glob(id, steps)? else { return Ok(None) };
        Ok(valid_at(self.globs.iter().filter(|row| row.id == glob), at))
    }

    /// The same, whatever it takes: for ids that are not of a message.
    pub(crate) fn row_of(&self, id: &str, at: UnixMillis) -> Option<&Row> {
        self.lookup(id, at, &mut Steps::of(usize::MAX)).unwrap_or_default()
    }

    /// Of the globs that match, the one with most characters beside `*`; of two as long, the
    /// first in order.
    fn longest_glob(&self, id: &str, steps: &mut Steps) -> Result<Option<&str>, TooCostly> {
        let mut best: Option<(usize, &str)> = None;
        for row in &self.globs {
            // Most begin otherwise, which is seen at once.
            let start = row.id.split('*').next().unwrap_or_default();
            steps.take(1)?;
            if !id.starts_with(start) {
                continue;
            }
            steps.take(row.id.len() + id.len())?;
            let weight = glob::weight(&row.id);
            let is_longer = best.is_none_or(|(most, _)| weight > most);
            if is_longer && glob::matches(&row.id, id) {
                best = Some((weight, &row.id));
            }
        }
        Ok(best.map(|(_, glob)| glob))
    }

    /// The rows with globs, as a text that `stored` reads.
    pub(crate) fn globs_text(&self) -> String {
        written(self.globs.iter())
    }

    /// The rows with ids, as texts that `stored` reads: each row in that of its bucket.
    pub(crate) fn bucket_texts(&self, buckets: usize) -> Vec<String> {
        let mut texts = vec![String::new(); buckets];
        for row in &self.exact {
            if let Some(text) = texts.get_mut(bucket(&row.id, buckets)) {
                write_row(row, text);
            }
        }
        texts
    }

    /// How many rows there are whose ids are no globs.
    pub(crate) fn exact_len(&self) -> usize {
        self.exact.len()
    }

    /// Whether there is a row with the id and the `since` of this one.
    pub(crate) fn has(&self, row: &Row) -> bool {
        self.rows().any(|other| (&other.id, other.since) == (&row.id, row.since))
    }

    /// The table of the texts that hold all rows for some ids: those of their buckets, one
    /// behind the other, and the globs. Of two rows with one id and one `since` the last one
    /// holds. `None` if they are not what was written.
    pub(crate) fn stored(buckets: &str, globs: &str) -> Option<Self> {
        let rows = |text: &str| text.lines().map(stored_row).collect::<Option<Vec<Row>>>();
        let mut exact = rows(buckets)?;
        let is_in_order = exact
            .windows(2)
            .all(|pair| matches!(pair, [a, b] if (&a.id, a.since) < (&b.id, b.since)));
        if !is_in_order {
            let mut numbered: Vec<(usize, Row)> = exact.into_iter().map(|row| (0, row)).collect();
            sort(&mut numbered);
            exact = numbered.into_iter().map(|(_, row)| row).collect();
            exact.dedup_by(|last, first| {
                let is_same = (&last.id, last.since) == (&first.id, first.since);
                if is_same {
                    std::mem::swap(last, first);
                }
                is_same
            });
        }
        Some(Self { exact, globs: rows(globs)? })
    }
}

/// In which of so many buckets the rows of an id are. It is the same on every machine.
pub(crate) fn bucket(id: &str, buckets: usize) -> usize {
    let count = u64::try_from(buckets).unwrap_or(u64::MAX).max(1);
    usize::try_from(checksum::hash(0, id.as_bytes()) % count).unwrap_or(0)
}

/// Puts rows in order: by `since`, and then by pieces of the id from the last to the first, as
/// the sort is stable.
fn sort(rows: &mut [(usize, Row)]) {
    const PIECE: usize = size_of::<u128>();
    let since = |row: &Row| row.since.map_or(0, |since| since.get().unsigned_abs() + 1);
    sort::sort_by_key(rows, |(_, row)| u128::from(since(row)));
    let longest = rows.iter().map(|(_, row)| row.id.len()).max().unwrap_or(0);
    for piece in (0..longest.div_ceil(PIECE)).rev() {
        let key = |row: &Row| {
            // Zeros behind a short id: no id has them.
            let bytes = row.id.bytes().skip(piece * PIECE).chain(std::iter::repeat(0));
            bytes.take(PIECE).fold(0, |key, byte| key << 8 | u128::from(byte))
        };
        sort::sort_by_key(rows, |(_, row)| key(row));
    }
}

fn valid_at<'t>(rows: impl Iterator<Item = &'t Row>, at: UnixMillis) -> Option<&'t Row> {
    rows.take_while(|row| row.since.is_none_or(|since| since <= at)).last()
}

fn written<'t>(rows: impl Iterator<Item = &'t Row>) -> String {
    let mut text = String::new();
    rows.for_each(|row| write_row(row, &mut text));
    text
}

/// A row in a line, its four parts with tabs between them, which no part can have.
fn write_row(row: &Row, out: &mut String) {
    let since = row.since.map(|since| since.get().to_string()).unwrap_or_default();
    out.extend([&row.id, "\t", row.device.as_str(), "\t", row.region.as_str(), "\t", &since, "\n"]);
}

fn stored_row(line: &str) -> Option<Row> {
    let mut parts = line.split('\t');
    let (id, device, region, since) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let since = match since {
        "" => None,
        ms => Some(UnixMillis::new(ms.parse().ok()?)?),
    };
    let (device, region) = (device.to_owned(), region.to_owned());
    let row = Row {
        id: id.to_owned(),
        device: DeviceId::new(device)?,
        region: Region::new(region)?,
        since,
    };
    parts.next().is_none().then_some(row)
}

fn at_line(line: usize, unread: Unread) -> TableError {
    TableError { line, detail: unread.detail() }
}

/// Adds the row of a line.
fn push(rows: &mut Vec<(usize, Row)>, line: usize, node: &Node<'_>) -> Result<(), TableError> {
    let row = row(node).map_err(|detail| TableError { line, detail })?;
    if rows.len() == limits::DEVICE_ROWS_MAX {
        let detail = format!("more than {} rows", limits::DEVICE_ROWS_MAX);
        return Err(TableError { line, detail });
    }
    rows.push((line, row));
    Ok(())
}

fn row(node: &Node<'_>) -> Result<Row, String> {
    let Node::Object(fields) = node else {
        return Err("a row must be an object".to_owned());
    };
    if let Some((name, _)) = fields.iter().find(|(name, _)| !COLUMNS.contains(&name.as_ref())) {
        return Err(format!("unknown field {}; known: {}", echo(name), COLUMNS.join(", ")));
    }
    let id = required(node, "id")?;
    let is_id = id.chars().nth(limits::SOURCE_ID_CHARS_MAX).is_none();
    if !is_id || id.contains(char::is_control) {
        let most = limits::SOURCE_ID_CHARS_MAX;
        return Err(format!("`id` must have at most {most} characters, and no control character"));
    }
    let device = DeviceId::new(required(node, "device")?.into_owned());
    let region = Region::new(required(node, "region")?.into_owned());
    Ok(Row {
        id: id.into_owned(),
        device: device.ok_or_else(|| format!("`device`: {}", item::NAME_RULE))?,
        region: region.ok_or_else(|| format!("`region`: {}", item::NAME_RULE))?,
        since: since(node)?,
    })
}

fn required<'n>(node: &'n Node<'_>, name: &str) -> Result<Cow<'n, str>, String> {
    match node.field(name) {
        Some(Node::Text(text)) if !text.is_empty() => Ok(Cow::Borrowed(text.as_ref())),
        Some(Node::Number(text)) => Ok(Cow::Borrowed(*text)),
        None | Some(Node::Text(_)) => Err(format!("`{name}` is missing")),
        Some(_) => Err(format!("`{name}` must be a text")),
    }
}

fn since(node: &Node<'_>) -> Result<Option<UnixMillis>, String> {
    match node.field("since") {
        None | Some(Node::Null) => Ok(None),
        Some(Node::Text(text)) if text.is_empty() => Ok(None),
        Some(node) => {
            let at = node.scalar().and_then(UnixMillis::parse_rfc3339);
            let wrong = || "`since` must be a time in RFC 3339, like 2026-11-22T10:00:00Z";
            at.map(Some).ok_or_else(|| wrong().to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> UnixMillis {
        UnixMillis::parse_rfc3339(text).unwrap()
    }

    fn found(table: &DeviceTable, id: &str, time: &str) -> Option<String> {
        let row = table.row_of(id, at(time))?;
        Some(format!("{}@{}", row.device.as_str(), row.region.as_str()))
    }

    const TABLE: &str = "id,device,region,since\r\n\
        F1:01,cold-1,store,\r\n\
        F1:01,cold-1,hall,2026-06-01T00:00:00Z\r\n\
        \"tele/a, b\",probe,hall,\r\n\
        late,late,hall,2026-06-01T00:00:00Z\r\n\
        Nexus-TH.*,freezer,cellar,\r\n\
        Nexus-TH.1.*,freezer-1,cellar,\r\n\
        Nexus-TH.1.*,freezer-1,attic,2026-06-01T02:00:00+02:00\r\n\
        *.7,seven,cellar,\r\n";

    #[test]
    fn an_id_is_found_before_a_glob_and_the_longest_glob_before_others() {
        let table = DeviceTable::parse_csv(TABLE).unwrap();
        assert_eq!(table.len(), 8);
        let (before, from) = ("2026-05-31T23:59:59.999Z", "2026-06-01T00:00:00Z");
        for (id, time, expected) in [
            ("F1:01", before, Some("cold-1@store")),
            ("F1:01", from, Some("cold-1@hall")),
            ("tele/a, b", before, Some("probe@hall")),
            ("late", before, None),
            ("late", from, Some("late@hall")),
            ("Nexus-TH.2.194", from, Some("freezer@cellar")),
            ("Nexus-TH.1.194", before, Some("freezer-1@cellar")),
            ("Nexus-TH.1.194", from, Some("freezer-1@attic")),
            ("Nexus-TH.1.7", before, Some("freezer-1@cellar")),
            ("other.7", before, Some("seven@cellar")),
            ("F1:0", from, None),
            ("F1:012", from, None),
            ("", from, None),
        ] {
            assert_eq!(found(&table, id, time).as_deref(), expected, "{id} {time}");
        }
    }

    #[test]
    fn objects_and_rows_are_the_same_table() {
        let ndjson = "{\"id\":\"F1:01\",\"device\":\"cold-1\",\"region\":\"store\"}\n\n\
            {\"region\":\"hall\",\"device\":\"cold-1\",\"id\":\"F1:01\",\
             \"since\":\"2026-06-01T00:00:00Z\"}\r\n\
            {\"id\":47,\"device\":\"d\",\"region\":\"r\",\"since\":null}";
        let csv = "since,region,device,id\n,r,d,47\n2026-06-01T00:00:00Z,hall,cold-1,F1:01\n\
             ,store,cold-1,F1:01";
        let table = DeviceTable::parse_ndjson(ndjson).unwrap();
        assert_eq!(DeviceTable::parse_csv(csv), Ok(table.clone()));
        assert_eq!(DeviceTable::parse_csv("id,device,region\n47,d,r").map(|t| t.len()), Ok(1));
        assert_eq!(found(&table, "47", "1970-01-01T00:00:00Z").as_deref(), Some("d@r"));
    }

    #[test]
    fn what_is_wrong_names_its_line() {
        let head = "id,device,region,since\n";
        let globs: String = (0..=256).map(|n| format!("a{n:03}*,d,r,\n")).collect();
        for (rows, line, part) in [
            ("a,d,r,\na,e,r,\n", 3, "in line 2"),
            ("a,d,r,2026-06-01T00:00:00Z\na,e,s,2026-06-01T00:00:00Z\n", 3, "in line 2"),
            ("a,d e,r,\n", 2, "`device`: names are"),
            ("a,d,..,\n", 2, "`region`: names are"),
            ("a,,r,\n", 2, "`device` is missing"),
            (",d,r,\n", 2, "`id` is missing"),
            ("a,d,r,yesterday\n", 2, "`since` must be"),
            ("a,d,r,2026-06-01T00:00:00\n", 2, "`since` must be"),
            ("a,d,r\n", 2, "has 3 cells"),
            ("\"a\tb\",d,r,\n", 2, "no control character"),
            ("\n\nok,d,r,\na,d,\"r\n", 0, "line 5: a quote"),
            (globs.as_str(), 258, "more than 256"),
        ] {
            let error = DeviceTable::parse_csv(&format!("{head}{rows}")).unwrap_err();
            assert_eq!(error.line, line, "{rows} {}", error.detail);
            assert!(error.detail.contains(part), "{rows} {}", error.detail);
        }
        let error = DeviceTable::parse_csv("id,device,region,unit\n").unwrap_err();
        assert_eq!(error.detail, "unknown column \"unit\"; known: id, device, region, since");
        for (text, line) in [
            ("{\"id\":\"a\",\"device\":\"d\",\"region\":\"r\"}\n{", 2),
            ("\n[]", 2),
            ("{\"id\":\"a\",\"id\":\"b\",\"device\":\"d\",\"region\":\"r\"}", 1),
            ("{\"id\":\"a\",\"device\":\"d\",\"region\":\"r\",\"unit\":\"C\"}", 1),
            ("{\"id\":\"a\",\"device\":true,\"region\":\"r\"}", 1),
        ] {
            assert_eq!(DeviceTable::parse_ndjson(text).unwrap_err().line, line, "{text}");
        }
    }

    #[test]
    fn the_number_of_rows_is_bounded() {
        let rows = |count: usize| {
            let rows: String = (0..count).map(|n| format!("i{n},d,r\n")).collect();
            DeviceTable::parse_csv(&format!("id,device,region\n{rows}"))
        };
        assert_eq!(rows(limits::DEVICE_ROWS_MAX).map(|table| table.len()), Ok(100_000));
        assert_eq!(rows(limits::DEVICE_ROWS_MAX + 1).unwrap_err().line, 100_002);
    }

    #[test]
    fn a_stored_table_finds_what_the_whole_one_finds() {
        let table = DeviceTable::parse_csv(TABLE).unwrap();
        let (buckets, globs) = (table.bucket_texts(3), table.globs_text());
        for id in ["F1:01", "tele/a, b", "late", "Nexus-TH.1.7", "other.7", "none"] {
            let part = DeviceTable::stored(&buckets[bucket(id, 3)], &globs).unwrap();
            for time in ["2026-05-31T23:59:59Z", "2026-06-01T00:00:00Z"] {
                assert_eq!(found(&part, id, time), found(&table, id, time), "{id} {time}");
            }
        }
        assert_eq!(DeviceTable::stored(&table.bucket_texts(1)[0], &globs), Some(table.clone()));
        for bad in ["a", "a\td\tr", "a\td\tr\tx\n", "a\td\tr\t\t\n", "a\td d\tr\t\n"] {
            assert_eq!(DeviceTable::stored(bad, ""), None, "{bad:?}");
        }
        // Of one id and one `since` the last row holds.
        let twice = format!("{}late\tnew\thall\t1780272000000\n", table.bucket_texts(1)[0]);
        let newer = DeviceTable::stored(&twice, &globs).unwrap();
        assert_eq!(newer.len(), table.len());
        assert_eq!(found(&newer, "late", "2026-06-01T00:00:00Z").as_deref(), Some("new@hall"));
        // Part of what is stored.
        assert_eq!((bucket("F1:01", 64), bucket("a", 1), bucket("a", 0)), (25, 0, 0));
    }

    proptest! {
        #[test]
        fn rows_are_in_the_order_of_their_ids(
            ids in proptest::collection::btree_set("[aü]{1,40}|[ab]{1,3}", 1..20).prop_map(
                |ids| ids.into_iter().collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let rows: String = ids.iter().map(|id| format!("{id},d,r\n")).collect();
            let table = DeviceTable::parse_csv(&format!("id,device,region\n{rows}")).unwrap();
            prop_assert!(table.rows().map(|row| &row.id).is_sorted());
            prop_assert_eq!(table.len(), ids.len());
        }

        #[test]
        fn the_order_of_rows_does_not_matter(
            rows in Just((0..12).map(|n| {
                let since = ["", "2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z"][n % 3];
                format!("{},d{n},r,{since}\n", ["a", "b", "a*", "*"][n / 3])
            }).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let text = format!("id,device,region,since\n{}", rows.concat());
            let table = DeviceTable::parse_csv(&text).unwrap();
            for (id, time, device) in [
                ("a", "2026-03-01T00:00:00Z", "d1@r"),
                ("b", "2026-07-01T00:00:00Z", "d5@r"),
                ("ab", "2025-03-01T00:00:00Z", "d6@r"),
                ("x", "2026-06-01T00:00:00Z", "d11@r"),
            ] {
                let found = found(&table, id, time);
                prop_assert_eq!(found.as_deref(), Some(device));
            }
        }
    }
}
