//! What has to stand after corrections, renamings and merges: the rule once more, for the model.

use std::collections::{BTreeMap, BTreeSet};

/// A correction: device, slot, expected temperature and region, temperature, region.
pub(crate) type Corrected = (usize, usize, Option<i64>, Option<usize>, Option<i64>, Option<usize>);

pub(crate) fn region(n: usize) -> String {
    format!("r{n}")
}

/// Regions by the names that they have and had, and those that were merged.
#[derive(Default)]
pub(crate) struct Names {
    pub(crate) ids: BTreeMap<usize, usize>,
    /// The name that each has, and the first one that it had.
    pub(crate) now: Vec<usize>,
    pub(crate) first: Vec<usize>,
    pub(crate) merged: BTreeMap<usize, usize>,
}

impl Names {
    pub(crate) fn id(&mut self, name: usize) -> usize {
        *self.ids.entry(name).or_insert_with(|| {
            self.now.push(name);
            self.first.push(name);
            self.now.len() - 1
        })
    }

    /// Whether it is the name that a region has.
    pub(crate) fn is_name(&self, name: &str) -> bool {
        self.ids.iter().any(|(known, id)| self.now[*id] == *known && region(*known) == *name)
    }

    /// Whether the request has an effect.
    pub(crate) fn merge(&mut self, from: usize, into: usize) -> bool {
        let has_another_name = |id: &usize| self.now[*id] != into;
        let Some(id) = self.ids.get(&from).copied().filter(has_another_name) else {
            return false;
        };
        match self.ids.get(&into).copied().filter(|other| *other != id) {
            None => {
                self.now[id] = into;
                self.ids.insert(into, id);
            }
            Some(other) => {
                self.merged.insert(id, other);
                self.ids.values_mut().filter(|known| **known == id).for_each(|it| *it = other);
            }
        }
        true
    }
}

/// What stands, by the rule: of those that expect what stands, the one with the lowest id,
/// what only moves the reading before the others. At last it goes where its region went.
pub(crate) fn standing(
    counted: (usize, i64),
    corrections: &BTreeMap<String, Corrected>,
    merged: &BTreeMap<usize, usize>,
) -> Option<(usize, i64)> {
    let (mut region, mut temperature) = (counted.0, Some(counted.1));
    let (mut used, mut left) = (BTreeSet::new(), BTreeSet::new());
    loop {
        let fitting = corrections.iter().filter(|(id, (_, _, expected, from, ..))| {
            !used.contains(*id)
                && *expected == temperature
                && from.is_none_or(|from| from == region)
        });
        let is_move = |(.., expected, _, new, into): &Corrected| new == expected && into.is_some();
        if let Some((id, (.., new, into))) = fitting.min_by_key(|(_, one)| !is_move(one)) {
            used.insert(id);
            (region, temperature) = (into.unwrap_or(region), *new);
            if into.is_some() {
                left.clear();
            }
        } else if let Some(into) = merged.get(&region).filter(|_| !left.contains(&region)) {
            left.insert(region);
            region = *into;
        } else {
            return temperature.map(|temperature| (region, temperature));
        }
    }
}
