//! The parts of a query: its regions, the windows that make up each of its steps, and
//! the cells of its result.

use crate::domain::range::Range;
use crate::domain::summary::Summary;
use crate::host::Value;
use crate::ledger::integers;

/// The windows that make up the steps between the minutes of list ?3 (`edges`). For each
/// step, by its start, `pieces` has up to five sequences of windows of one span: whole
/// days, and the hours and minutes at their edges. The quarter hours (span 15) among those
/// minutes are there as well: only devices and histograms are kept of them, and only of
/// readings that are not in the ledger any more.
pub(crate) const PIECES: &str = "\
    WITH \
    steps (step, ending) AS ( \
        SELECT value, lead(value) OVER (ORDER BY key) FROM json_each(?3)), \
    cuts (step, ending, hour, hours_end, day, days_end) AS ( \
        SELECT step, ending, (step + 59) / 60 * 60, ending / 60 * 60, \
               (step + 1439) / 1440 * 1440, ending / 1440 * 1440 \
        FROM steps WHERE ending IS NOT NULL), \
    pieces (step, span, first, after) AS ( \
        SELECT step, 1, step, iif(hour < hours_end, hour, ending) FROM cuts UNION ALL \
        SELECT step, 1, hours_end, ending FROM cuts WHERE hour < hours_end UNION ALL \
        SELECT step, 15, (step + 14) / 15 * 15, \
               iif(hour < hours_end, hour, ending / 15 * 15) FROM cuts UNION ALL \
        SELECT step, 15, hours_end, ending / 15 * 15 \
        FROM cuts WHERE hour < hours_end UNION ALL \
        SELECT step, 60, hour, iif(day < days_end, day, hours_end) \
        FROM cuts WHERE hour < hours_end UNION ALL \
        SELECT step, 60, days_end, hours_end FROM cuts WHERE day < days_end UNION ALL \
        SELECT step, 1440, day, days_end FROM cuts WHERE day < days_end)";

/// The list ?3 of `PIECES`: where each step begins, and where the last one ends. One
/// begins where the one before it ends.
pub(crate) fn edges(steps: &[Range]) -> Value {
    let begins = steps.iter().map(|step| step.edges()[0]);
    let mut list = String::from("[");
    for minute in begins.chain(steps.last().map(|step| step.edges()[1])) {
        if list.len() > 1 {
            list.push(',');
        }
        list.push_str(&minute.to_string());
    }
    list.push(']');
    Value::Text(list)
}

/// The regions that a query is about, as parameters 1 and 2.
#[derive(Clone, Copy)]
pub(crate) enum Chosen<'a> {
    /// The region with this name, or that had it.
    One(&'a str),
    /// This many regions after this name, sorted by name, for which a condition (SQL, with
    /// `name`) holds.
    After(&'a str, usize, &'a str),
}

impl Chosen<'_> {
    /// Whether the answer is a list of regions. A damaged row of one must not hide the
    /// others, so what needs that row is left out.
    pub(crate) fn is_list(self) -> bool {
        matches!(self, Self::After(..))
    }

    pub(crate) fn query(self) -> String {
        match self {
            Self::One(_) => "(SELECT id, name FROM regions WHERE id = coalesce( \
                      (SELECT id FROM regions WHERE name = ?1), \
                      (SELECT id FROM aliases WHERE kind = 'regions' AND name = ?1)) \
                  LIMIT ?2) AS r"
                .to_owned(),
            // A region that has lost all its readings is not listed.
            Self::After(_, _, condition) => format!(
                "(SELECT id, name FROM regions WHERE name > ?1 AND {condition} AND NOT EXISTS ( \
                      SELECT 1 FROM windows AS w WHERE w.span = 0 AND w.region = regions.id \
                             AND w.start = 0 AND w.readings = 0) \
                  ORDER BY name LIMIT ?2) AS r"
            ),
        }
    }

    pub(crate) fn bindings(self) -> Vec<Value> {
        let (name, limit) = match self {
            Self::One(name) => (name, 1),
            Self::After(name, limit, _) => (name, i64::try_from(limit).unwrap_or(i64::MAX)),
        };
        vec![Value::Text(name.to_owned()), Value::Integer(limit)]
    }
}

/// The figures of one region in one step.
pub(crate) struct Cell {
    pub(crate) region: String,
    pub(crate) region_id: i64,
    pub(crate) step: i64,
    /// How many windows the figures were merged from.
    pub(crate) windows: i64,
    pub(crate) figures: Option<Summary>,
}

/// Reads a row: region, its id, step, number of windows, and the columns of `Summary`.
pub(crate) fn cell(row: &[Value]) -> Option<Cell> {
    let (Value::Text(region), columns) = row.split_first()? else { return None };
    let (head, columns) = columns.split_first_chunk::<3>()?;
    let [region_id, step, windows] = integers(head)?;
    let figures = match columns.first()? {
        // No window, or only such that have lost all their readings.
        Value::Null | Value::Integer(0) => None,
        _ => Some(Summary::from_columns(integers(columns)?)?),
    };
    Some(Cell { region: region.clone(), region_id, step, windows, figures })
}
