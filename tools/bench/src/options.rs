//! What a run is to measure.

/// The options of a run.
pub(crate) struct Options {
    pub(crate) seconds: u64,
    pub(crate) batch_seconds: u64,
    pub(crate) devices: u64,
    pub(crate) regions: u64,
    /// Part of the names of the rows to measure.
    pub(crate) only: String,
    /// In a comparison: readings in each round of a row of batches.
    pub(crate) readings: u64,
    /// In a comparison: how often each row is measured, if not as often as is usual there.
    pub(crate) rounds: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seconds: 10,
            batch_seconds: 30,
            devices: 10_000,
            regions: 50,
            only: String::new(),
            readings: 2_000_000,
            rounds: None,
        }
    }
}
