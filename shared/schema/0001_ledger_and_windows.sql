-- Schema version 1. A semicolon at a line's end ends a statement: the host runs one
-- statement per call.

-- Each name is stored once, and rows refer to it by a small integer, which halves the
-- ledger.
CREATE TABLE devices (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE regions (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- The ledger: every folded reading inside the dedup horizon. Its key makes a reading
-- count once. Clustered by time first, so that readings that arrive together are on the
-- same pages.
CREATE TABLE ledger (
    minute INTEGER NOT NULL CHECK (minute >= 0),            -- whole minutes since 1970-01-01T00:00:00Z
    device INTEGER NOT NULL REFERENCES devices (id),
    ms     INTEGER NOT NULL CHECK (ms BETWEEN 0 AND 59999), -- milliseconds into that minute
    region INTEGER NOT NULL REFERENCES regions (id),
    milli  INTEGER NOT NULL CHECK (milli BETWEEN -273150 AND 1000000), -- thousandths of a degree Celsius
    PRIMARY KEY (minute, device, ms)
) STRICT, WITHOUT ROWID;

-- The statistics of one region over one span of event time. All values are integers, so
-- merging windows is exact in any order.
CREATE TABLE windows (
    region       INTEGER NOT NULL REFERENCES regions (id),
    span         INTEGER NOT NULL CHECK (span IN (0, 1, 60)), -- minutes; 0 is all time
    start        INTEGER NOT NULL CHECK (start >= 0),         -- whole minutes since 1970-01-01T00:00:00Z
    readings     INTEGER NOT NULL CHECK (readings > 0),
    sum          INTEGER NOT NULL,                            -- thousandths of a degree Celsius
    -- The sum of the squares is squares_high * 1048576 + squares_low: one
    -- 64-bit integer would overflow at nine million readings of 1,000 °C.
    squares_high INTEGER NOT NULL,
    squares_low  INTEGER NOT NULL,
    min          INTEGER NOT NULL,                            -- thousandths of a degree Celsius
    max          INTEGER NOT NULL,                            -- thousandths of a degree Celsius
    oldest       INTEGER NOT NULL,                            -- Unix milliseconds
    newest       INTEGER NOT NULL,                            -- Unix milliseconds
    PRIMARY KEY (region, span, start)
) STRICT, WITHOUT ROWID;

-- Readings that contradict a folded one: same device and time, another temperature or
-- region. The newest 10,000 are kept; the tally `conflicts` counts all of them.
CREATE TABLE conflicts (
    minute INTEGER NOT NULL,
    device INTEGER NOT NULL REFERENCES devices (id),
    ms     INTEGER NOT NULL,
    region INTEGER NOT NULL REFERENCES regions (id), -- of the contradicting reading
    milli  INTEGER NOT NULL,                         -- of the contradicting reading
    PRIMARY KEY (minute, device, ms, region, milli)
) STRICT, WITHOUT ROWID;

-- Single numbers. `pruned_before`: Unix milliseconds; a reading from before then can't
-- be told from a duplicate any more, and is not counted. `folds`: transactions that
-- posted readings; `entries`: entries of the journal in them. All others count readings:
-- `entry_readings` in these entries; `duplicates` and `conflicts` as folds saw them, so an
-- entry that is folded again counts again; `rejected.<reason>`.
CREATE TABLE tallies (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
