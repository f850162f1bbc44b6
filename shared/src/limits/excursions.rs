//! The bounds of what is searched for excursions, and of what is plausible.

/// How long an excursion may have to last before it is listed, in milliseconds: a week.
pub const EXCURSION_FOR_MS_MAX: i64 = 7 * 24 * 60 * 60 * 1_000;

/// From how long before its range on excursions are searched at first, in minutes. From
/// earlier on if one goes on from before.
pub const EXCURSION_LOOK_BACK_MINUTES: i64 = 24 * 60;

/// How long before its range an excursion is followed back at most, in minutes; and how long
/// before that a device is looked for its last reading.
pub const EXCURSION_LOOK_BACK_MINUTES_MAX: i64 = 31 * 24 * 60;

/// The most readings, of all regions, that excursions are found in: two seconds. (The
/// ledger has the readings of a minute together, whatever their region.)
pub const EXCURSION_READINGS_MAX: usize = 10_000_000;

/// About how many readings are read at once for that, which bounds the memory.
pub const EXCURSION_READINGS_AT_ONCE: usize = 50_000;

/// The most excursions in an answer, and the most kept while they are united.
pub const EXCURSIONS_MAX: usize = 10_000;

/// The most devices that an excursion names; all are counted.
pub const EXCURSION_DEVICES_NAMED_MAX: usize = 20;

/// The most windows of devices, each of an hour, that are read to find the excursions of times
/// whose readings were deleted.
pub const EXCURSION_DEVICE_WINDOWS_MAX: usize = 2_000_000;

/// The most regions with plausible limits: a request that has readings reads all of them.
pub const PLAUSIBLE_REGIONS_MAX: usize = 1_000;

/// The most values of the variable `void_values`: each reading is compared with them.
pub const VOID_VALUES_MAX: usize = 20;
