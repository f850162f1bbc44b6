-- Schema version 4. The ledger and the windows of devices as runs: about a hundred
-- records to a row, sorted and encoded by their differences (ledger/sorted_run.rs).
-- Windows sorted by span first.

CREATE TABLE ledger_4 (
    id      INTEGER PRIMARY KEY,
    minute  INTEGER NOT NULL CHECK (minute >= 0), -- whole minutes since 1970-01-01T00:00:00Z
    first   INTEGER NOT NULL CHECK (first >= 0),  -- the first key that belongs to the run: device * 65536 + ms
    records INTEGER NOT NULL CHECK (records > 0),
    run     BLOB NOT NULL,                        -- of each record: device, ms, region, milli
    UNIQUE (minute, first)
) STRICT;

-- libSQL has no ORDER BY inside an aggregate. An ordered subquery is read in its order.
INSERT INTO ledger_4 (minute, first, records, run)
    SELECT minute, 0, count(*),
           (SELECT unhex('02' || group_concat(record, '')) FROM
               (SELECT printf('%016x%016x%016x', r.device * 65536 + r.ms, r.region, r.milli) AS record
                FROM ledger AS r WHERE r.minute = l.minute ORDER BY r.device, r.ms))
    FROM ledger AS l GROUP BY minute ORDER BY minute;

DROP TABLE ledger;

ALTER TABLE ledger_4 RENAME TO ledger;

CREATE TABLE device_windows_4 (
    id      INTEGER PRIMARY KEY,
    region  INTEGER NOT NULL REFERENCES regions (id),
    span    INTEGER NOT NULL CHECK (span IN (0, 60, 1440)), -- minutes; 0 is all time
    start   INTEGER NOT NULL CHECK (start >= 0),            -- whole minutes since 1970-01-01T00:00:00Z
    first   INTEGER NOT NULL CHECK (first >= 0),            -- the first device that belongs to the run
    records INTEGER NOT NULL CHECK (records > 0),
    run     BLOB NOT NULL,                                  -- of each record: device, readings, sum; for all time also oldest, newest, latest
    UNIQUE (region, span, start, first)
) STRICT;

INSERT INTO device_windows_4 (region, span, start, first, records, run)
    SELECT region, span, start, 0, count(*),
           (SELECT unhex('02' || group_concat(record, '')) FROM
               (SELECT printf('%016x%016x%016x%016x%016x%016x', r.device, r.readings, r.sum, coalesce(r.oldest, 0),
                              coalesce(r.newest, 0), coalesce(r.latest, 0)) AS record
                FROM device_windows AS r WHERE r.region = w.region AND r.span = w.span AND r.start = w.start
                ORDER BY r.device))
    FROM device_windows AS w GROUP BY region, span, start ORDER BY region, span, start;

DROP TABLE device_windows;

ALTER TABLE device_windows_4 RENAME TO device_windows;

-- Windows and histograms sorted by span first: rows of all time are then together, and
-- are found without reading every minute.
CREATE TABLE windows_4 (
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
    PRIMARY KEY (span, region, start)
) STRICT, WITHOUT ROWID;

INSERT INTO windows_4 SELECT * FROM windows ORDER BY span, region, start;

DROP TABLE windows;

ALTER TABLE windows_4 RENAME TO windows;

CREATE TABLE histograms_4 (
    region INTEGER NOT NULL REFERENCES regions (id),
    span   INTEGER NOT NULL CHECK (span IN (0, 60, 1440)), -- minutes; 0 is all time
    start  INTEGER NOT NULL CHECK (start >= 0),            -- whole minutes since 1970-01-01T00:00:00Z
    bins   BLOB NOT NULL,                                  -- encoded by domain/histogram.rs
    PRIMARY KEY (span, region, start)
) STRICT, WITHOUT ROWID;

INSERT INTO histograms_4 SELECT * FROM histograms ORDER BY span, region, start;

DROP TABLE histograms;

ALTER TABLE histograms_4 RENAME TO histograms;
