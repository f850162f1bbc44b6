//! What a region's temperatures can be at all.

use crate::domain::reading::MilliCelsius;

/// Between what a region's temperatures can be, both ends included. A reading outside is no
/// measurement of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plausible {
    /// The lowest; `None` is no limit.
    pub low: Option<MilliCelsius>,
    /// The highest; `None` is no limit.
    pub high: Option<MilliCelsius>,
}

impl Plausible {
    /// Whether it can be that temperature.
    pub fn allows(self, temperature: MilliCelsius) -> bool {
        self.low.is_none_or(|low| temperature >= low)
            && self.high.is_none_or(|high| temperature <= high)
    }

    /// Whether there is no limit at all.
    pub fn is_none(self) -> bool {
        self.low.is_none() && self.high.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_are_plausible_and_what_is_not_set_limits_nothing() {
        let milli = |milli| MilliCelsius::new(milli).unwrap();
        let limits = Plausible { low: Some(milli(-60_000)), high: Some(milli(60_000)) };
        assert!(limits.allows(milli(-60_000)) && limits.allows(milli(60_000)));
        assert!(!limits.allows(milli(-60_001)) && !limits.allows(milli(60_001)));
        let below = Plausible { low: None, ..limits };
        assert!(below.allows(MilliCelsius::MIN) && !below.allows(MilliCelsius::MAX));
        assert!(Plausible::default().is_none() && Plausible::default().allows(MilliCelsius::MAX));
    }
}
