//! Pagination: a page of a list, and whether another page follows.

/// The items of a page, and whether another page follows. To find out, one item more is
/// read than fits on a page (`Page::to_read`).
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) has_more: bool,
}

impl<T> Page<T> {
    /// How many to read for a page of `limit`.
    pub(crate) fn to_read(limit: usize) -> usize {
        limit.saturating_add(1)
    }

    /// The first `limit` of the items that were read.
    pub(crate) fn of(mut items: Vec<T>, limit: usize) -> Self {
        let has_more = items.len() > limit;
        items.truncate(limit);
        Self { items, has_more }
    }

    /// The last item, if another page begins after it.
    pub(crate) fn last(&self) -> Option<&T> {
        self.items.last().filter(|_| self.has_more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_more_than_fits_tells_that_there_is_another_page() {
        for (read, limit, has_more) in [(0, 2, false), (2, 2, false), (3, 2, true), (1, 1, false)] {
            assert!(read <= Page::<usize>::to_read(limit));
            let page = Page::of((0..read).collect(), limit);
            assert_eq!(page.has_more, has_more);
            assert_eq!(page.items.len(), read.min(limit));
            assert_eq!(page.last().copied(), has_more.then(|| limit - 1));
        }
    }
}
