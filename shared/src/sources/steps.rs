//! A bound on the work that a mapping makes of a message.

use crate::limits;

/// The work was more than a message of its size may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooCostly;

/// How many steps are left. A step is a node that is visited, a key or a character that is
/// compared, or a character that is copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Steps {
    left: u64,
    taken: u64,
}

impl Steps {
    /// The steps that a message of so many bytes may take.
    pub(crate) fn of(bytes: usize) -> Self {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let left = bytes.saturating_mul(limits::SOURCE_STEPS_PER_BYTE);
        Self { left: left.saturating_add(limits::SOURCE_STEPS_FREE), taken: 0 }
    }

    /// Takes so many steps, and one more. Not to be inlined, for its size: it is called
    /// everywhere.
    #[inline(never)]
    pub(crate) fn take(&mut self, count: usize) -> Result<(), TooCostly> {
        let count = u64::try_from(count).unwrap_or(u64::MAX).saturating_add(1);
        self.left = self.left.checked_sub(count).ok_or(TooCostly)?;
        self.taken = self.taken.saturating_add(count);
        Ok(())
    }

    /// How many were taken.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }
}
