-- Schema version 3. Windows of whole days, so that a year is 365 rows. Counts of late
-- readings, duplicates and conflicts in each window. Figures by device. Percentiles.

-- A CHECK can't be altered, so the table is created again.
CREATE TABLE windows_3 (
    region       INTEGER NOT NULL REFERENCES regions (id),
    span         INTEGER NOT NULL CHECK (span IN (0, 1, 60, 1440)), -- minutes; 0 is all time
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
    revision     INTEGER NOT NULL DEFAULT 1 CHECK (revision > 0), -- transactions that changed the statistics
    late         INTEGER NOT NULL DEFAULT 0, -- of the readings, those that came late
    duplicates   INTEGER NOT NULL DEFAULT 0, -- readings that were sent again, as folds saw them
    conflicts    INTEGER NOT NULL DEFAULT 0, -- readings that contradict one of these, as folds saw them
    -- How many devices, and the sum of their averages, each truncated to a millionth of
    -- a degree Celsius. NULL in minutes, whose devices are in the ledger, and in
    -- windows whose devices were not counted from the beginning.
    devices      INTEGER,
    averages     INTEGER,
    PRIMARY KEY (region, span, start)
) STRICT, WITHOUT ROWID;

INSERT INTO windows_3 (region, span, start, readings, sum, squares_high, squares_low, min, max, oldest, newest, revision)
    SELECT region, span, start, readings, sum, squares_high, squares_low, min, max, oldest, newest, revision
    FROM windows ORDER BY region, span, start;

INSERT INTO windows_3 (region, span, start, readings, sum, squares_high, squares_low, min, max, oldest, newest, revision)
    SELECT region, 1440, start / 1440 * 1440, sum(readings), sum(sum), sum(squares_high), sum(squares_low), min(min),
           max(max), min(oldest), max(newest), sum(revision)
    FROM windows WHERE span = 60 GROUP BY region, start / 1440;

DROP TABLE windows;

ALTER TABLE windows_3 RENAME TO windows;

-- What one device sent to one region in an hour, a day, and all time (span 0).
CREATE TABLE device_windows (
    region   INTEGER NOT NULL REFERENCES regions (id),
    span     INTEGER NOT NULL CHECK (span IN (0, 60, 1440)), -- minutes; 0 is all time
    start    INTEGER NOT NULL CHECK (start >= 0),            -- whole minutes since 1970-01-01T00:00:00Z
    device   INTEGER NOT NULL REFERENCES devices (id),
    readings INTEGER NOT NULL CHECK (readings > 0),
    sum      INTEGER NOT NULL,                               -- thousandths of a degree Celsius
    -- For all time only:
    oldest   INTEGER,                                        -- Unix milliseconds
    newest   INTEGER,                                        -- Unix milliseconds
    latest   INTEGER,                                        -- of the newest; thousandths of a degree Celsius
    PRIMARY KEY (region, span, start, device)
) STRICT, WITHOUT ROWID;

-- How many readings fell into each tenth of a degree, in an hour, a day, and
-- all time (span 0).
CREATE TABLE histograms (
    region INTEGER NOT NULL REFERENCES regions (id),
    span   INTEGER NOT NULL CHECK (span IN (0, 60, 1440)), -- minutes; 0 is all time
    start  INTEGER NOT NULL CHECK (start >= 0),            -- whole minutes since 1970-01-01T00:00:00Z
    bins   BLOB NOT NULL,                                  -- encoded by domain/histogram.rs
    PRIMARY KEY (region, span, start)
) STRICT, WITHOUT ROWID;
