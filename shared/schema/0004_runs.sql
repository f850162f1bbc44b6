-- Schema version 4. Ledger and windows of devices as runs: about a hundred records
-- to a row, sorted and encoded by their differences (runs.rs).

CREATE TABLE ledger_4 (
    id      INTEGER PRIMARY KEY,
    minute  INTEGER NOT NULL CHECK (minute >= 0), -- whole minutes since 1970-01-01T00:00:00Z
    first   INTEGER NOT NULL CHECK (first >= 0),  -- the first key of the minute that belongs to the run: device * 65536 + ms
    records INTEGER NOT NULL CHECK (records > 0),
    run     BLOB NOT NULL,                        -- of each: device, ms, region, milli
    UNIQUE (minute, first)
) STRICT;

INSERT INTO ledger_4 (minute, first, records, run)
    SELECT minute, 0, count(*),
           unhex('02' || group_concat(printf('%016x%016x%016x', device * 65536 + ms, region, milli), '' ORDER BY device, ms))
    FROM ledger GROUP BY minute ORDER BY minute;

DROP TABLE ledger;

ALTER TABLE ledger_4 RENAME TO ledger;

CREATE TABLE device_windows_4 (
    id      INTEGER PRIMARY KEY,
    region  INTEGER NOT NULL REFERENCES regions (id),
    span    INTEGER NOT NULL CHECK (span IN (0, 60, 1440)), -- minutes; 0 is all time
    start   INTEGER NOT NULL CHECK (start >= 0),            -- whole minutes since 1970-01-01T00:00:00Z
    first   INTEGER NOT NULL CHECK (first >= 0),            -- the first device that belongs to the run
    records INTEGER NOT NULL CHECK (records > 0),
    run     BLOB NOT NULL,                                  -- of each: device, readings, sum; for all time oldest, newest, latest
    UNIQUE (region, span, start, first)
) STRICT;

INSERT INTO device_windows_4 (region, span, start, first, records, run)
    SELECT region, span, start, 0, count(*),
           unhex('02' || group_concat(printf('%016x%016x%016x%016x%016x%016x', device, readings, sum,
                                             coalesce(oldest, 0), coalesce(newest, 0), coalesce(latest, 0)), '' ORDER BY device))
    FROM device_windows GROUP BY region, span, start ORDER BY region, span, start;

DROP TABLE device_windows;

ALTER TABLE device_windows_4 RENAME TO device_windows;
