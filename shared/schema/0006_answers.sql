-- Schema version 6. The regions of a device are found by an index. How often a device is
-- expected to send can be set. Counted readings can be corrected. Runs that are written from
-- now on have a late flag for each reading, and for each device its lowest and highest
-- temperature and the last gaps between its readings (ledger/row.rs, device_window.rs),
-- which older releases can't read.

CREATE INDEX region_devices_by_device ON region_devices (device);

-- How often a device is expected to send, where that is not left to its own gaps.
CREATE TABLE device_settings (
    device     INTEGER PRIMARY KEY REFERENCES devices (id),
    interval_s INTEGER NOT NULL CHECK (interval_s BETWEEN 0 AND 604800) -- seconds; 0: it may be silent
) STRICT;

-- Between what the temperatures of a region should be, and between what they can be,
-- in thousandths of a degree Celsius; NULL is no limit.
CREATE TABLE limits (
    region         INTEGER PRIMARY KEY REFERENCES regions (id),
    low            INTEGER CHECK (low BETWEEN -273150 AND 1000000),
    high           INTEGER CHECK (high BETWEEN -273150 AND 1000000),
    for_ms         INTEGER NOT NULL CHECK (for_ms >= 0),  -- shorter excursions are not listed
    plausible_low  INTEGER CHECK (plausible_low BETWEEN -273150 AND 1000000),
    plausible_high INTEGER CHECK (plausible_high BETWEEN -273150 AND 1000000),
    changed        INTEGER NOT NULL,                      -- when, Unix milliseconds
    revision       INTEGER NOT NULL CHECK (revision > 0)  -- how often it was set
) STRICT;

-- Corrections of counted readings, as a set beside them: what stands is
-- the counted reading with those corrections applied whose expectation fits
-- (domain/correction.rs).

CREATE TABLE corrections (
    minute   INTEGER NOT NULL CHECK (minute >= 0),            -- of the reading
    device   INTEGER NOT NULL REFERENCES devices (id),        -- of the reading
    ms       INTEGER NOT NULL CHECK (ms BETWEEN 0 AND 59999), -- of the reading
    hash     BLOB NOT NULL,    -- SHA-256 of what the correction says
    expected INTEGER,          -- thousandths of a degree Celsius; NULL: withdrawn
    milli    INTEGER,          -- thousandths of a degree Celsius; NULL: is withdrawn, or stays as it is if it is moved
    region   INTEGER REFERENCES regions (id), -- where it is moved to
    expected_region INTEGER REFERENCES regions (id), -- where it is expected to stand; NULL: anywhere
    reason   TEXT NOT NULL,
    made     INTEGER NOT NULL, -- when it was accepted, Unix milliseconds
    by       TEXT,             -- whose credential asked for it; NULL: not known
    in_force INTEGER NOT NULL CHECK (in_force IN (0, 1)), -- 0: its hour was pruned, or being pruned, when it came
    PRIMARY KEY (minute, device, ms, hash)
) STRICT, WITHOUT ROWID;

-- Names that a device or a region had before.
CREATE TABLE aliases (
    kind TEXT NOT NULL CHECK (kind IN ('devices', 'regions')),
    name TEXT NOT NULL,        -- the name before
    id   INTEGER NOT NULL,     -- whose name it was
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;

-- All renamings and ends of merges, in their order.
CREATE TABLE renamings (
    id     INTEGER PRIMARY KEY,
    kind   TEXT NOT NULL CHECK (kind IN ('devices', 'regions')),
    name   TEXT NOT NULL,      -- the name before
    new    TEXT NOT NULL,      -- the name that took its place
    merged INTEGER NOT NULL CHECK (merged IN (0, 1)), -- 1: there was another one of this name
    made   INTEGER NOT NULL,   -- Unix milliseconds
    by     TEXT,               -- whose credential asked for it; NULL: not known
    reason TEXT NOT NULL
) STRICT;

-- A window may have lost all its readings. A CHECK can't be altered, so the table is
-- created again.
CREATE TABLE windows_6 (
    region       INTEGER NOT NULL REFERENCES regions (id),
    span         INTEGER NOT NULL CHECK (span IN (0, 1, 60, 1440)), -- minutes; 0 is all time
    start        INTEGER NOT NULL CHECK (start >= 0),         -- whole minutes since 1970-01-01T00:00:00Z
    -- Of a window that has lost all its readings: 0, and min, max, oldest and newest are
    -- such that merging changes nothing.
    readings     INTEGER NOT NULL CHECK (readings >= 0),
    sum          INTEGER NOT NULL,                            -- thousandths of a degree Celsius
    -- The sum of the squares is squares_high * 1048576 + squares_low: one
    -- 64-bit integer would overflow at nine million readings of 1,000 °C.
    squares_high INTEGER NOT NULL,
    squares_low  INTEGER NOT NULL,
    min          INTEGER NOT NULL,                            -- thousandths of a degree Celsius
    max          INTEGER NOT NULL,                            -- thousandths of a degree Celsius
    oldest       INTEGER NOT NULL,                            -- Unix milliseconds
    newest       INTEGER NOT NULL,                            -- Unix milliseconds
    revision     INTEGER NOT NULL DEFAULT 1 CHECK (revision > 0), -- transactions that changed the statistics
    late         INTEGER NOT NULL DEFAULT 0, -- of the readings, those that came late
    duplicates   INTEGER NOT NULL DEFAULT 0, -- readings that were sent again, as folds saw them
    conflicts    INTEGER NOT NULL DEFAULT 0, -- readings that contradict one of these, as folds saw them
    -- How many devices, and the sum of their averages, each truncated to a millionth of
    -- a degree Celsius. NULL in minutes, whose devices are in the ledger, and in
    -- windows whose devices were not counted from the beginning.
    devices      INTEGER,
    averages     INTEGER,
    corrected    INTEGER NOT NULL DEFAULT 0, -- readings changed, withdrawn, or moved to or from here
    PRIMARY KEY (span, region, start)
) STRICT, WITHOUT ROWID;

INSERT INTO windows_6 (region, span, start, readings, sum, squares_high, squares_low, min, max, oldest, newest,
                       revision, late, duplicates, conflicts, devices, averages)
    SELECT region, span, start, readings, sum, squares_high, squares_low, min, max, oldest, newest,
           revision, late, duplicates, conflicts, devices, averages
    FROM windows ORDER BY span, region, start;

DROP TABLE windows;

ALTER TABLE windows_6 RENAME TO windows;

-- Devices and histograms of quarter hours, of readings that have left the ledger
-- (ledger/quarters.rs).
-- A CHECK can't be altered, so the tables are created again.
CREATE TABLE device_windows_6 (
    id      INTEGER PRIMARY KEY,
    region  INTEGER NOT NULL REFERENCES regions (id),
    span    INTEGER NOT NULL CHECK (span IN (0, 15, 60, 1440)), -- minutes; 0 is all time
    start   INTEGER NOT NULL CHECK (start >= 0),            -- whole minutes since 1970-01-01T00:00:00Z
    first   INTEGER NOT NULL CHECK (first >= 0),            -- the first device that belongs to the run
    records INTEGER NOT NULL CHECK (records > 0),
    run     BLOB NOT NULL,                                  -- of each record: device, readings, sum, lowest, highest; for all time also oldest, newest, latest, gaps
    UNIQUE (region, span, start, first)
) STRICT;

INSERT INTO device_windows_6 SELECT * FROM device_windows ORDER BY id;

DROP TABLE device_windows;

ALTER TABLE device_windows_6 RENAME TO device_windows;

CREATE TABLE histograms_6 (
    region INTEGER NOT NULL REFERENCES regions (id),
    span   INTEGER NOT NULL CHECK (span IN (0, 15, 60, 1440)), -- minutes; 0 is all time
    start  INTEGER NOT NULL CHECK (start >= 0),            -- whole minutes since 1970-01-01T00:00:00Z
    bins   BLOB NOT NULL,                                  -- encoded by domain/histogram.rs
    PRIMARY KEY (span, region, start)
) STRICT, WITHOUT ROWID;

INSERT INTO histograms_6 SELECT * FROM histograms ORDER BY span, region, start;

DROP TABLE histograms;

ALTER TABLE histograms_6 RENAME TO histograms;
