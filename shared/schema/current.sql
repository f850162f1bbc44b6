-- The schema of this release, as a new database gets it. An older one gets there by the
-- migrations beside this file; a test compares the two. A semicolon at a line's end ends a
-- statement: the host runs one statement per call.

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

-- The ledger: every folded reading inside the dedup horizon, about a hundred to a row
-- (ledger/sorted_run.rs). That a reading is in it makes it count once. Sorted by time first, so
-- that readings that arrive together are on the same pages.
CREATE TABLE ledger (
    id      INTEGER PRIMARY KEY,
    minute  INTEGER NOT NULL CHECK (minute >= 0), -- whole minutes since 1970-01-01T00:00:00Z
    first   INTEGER NOT NULL CHECK (first >= 0),  -- the first key that belongs to the run: device * 65536 + ms
    records INTEGER NOT NULL CHECK (records > 0),
    run     BLOB NOT NULL,                        -- of each record: device, ms, region, milli
    UNIQUE (minute, first)
) STRICT;

-- The statistics of one region over one span of event time. All values are integers, so
-- merging windows is exact in any order.
CREATE TABLE windows (
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
    assumed      INTEGER NOT NULL DEFAULT 0, -- readings with the time of their arrival, as their sender gave none
    PRIMARY KEY (span, region, start)
) STRICT, WITHOUT ROWID;

-- What devices sent to one region in a quarter hour, an hour, a day, and all time (span 0).
CREATE TABLE device_windows (
    id      INTEGER PRIMARY KEY,
    region  INTEGER NOT NULL REFERENCES regions (id),
    span    INTEGER NOT NULL CHECK (span IN (0, 15, 60, 1440)), -- minutes; 0 is all time
    start   INTEGER NOT NULL CHECK (start >= 0),            -- whole minutes since 1970-01-01T00:00:00Z
    first   INTEGER NOT NULL CHECK (first >= 0),            -- the first device that belongs to the run
    records INTEGER NOT NULL CHECK (records > 0),
    run     BLOB NOT NULL,                                  -- of each record: device, readings, sum, lowest, highest; for all time also oldest, newest, latest, gaps
    UNIQUE (region, span, start, first)
) STRICT;

-- How many readings fell into each tenth of a degree.
CREATE TABLE histograms (
    region INTEGER NOT NULL REFERENCES regions (id),
    span   INTEGER NOT NULL CHECK (span IN (0, 15, 60, 1440)), -- minutes; 0 is all time
    start  INTEGER NOT NULL CHECK (start >= 0),            -- whole minutes since 1970-01-01T00:00:00Z
    bins   BLOB NOT NULL,                                  -- encoded by domain/histogram.rs
    PRIMARY KEY (span, region, start)
) STRICT, WITHOUT ROWID;

-- The devices of a region by their names, so that reading a page of them reads no others.
CREATE TABLE region_devices (
    region INTEGER NOT NULL REFERENCES regions (id),
    name   TEXT NOT NULL,                            -- the device's
    device INTEGER NOT NULL REFERENCES devices (id),
    PRIMARY KEY (region, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX region_devices_by_device ON region_devices (device);

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

-- Corrections of counted readings, as a set beside them: what stands is the counted reading
-- with those corrections applied whose expectation fits (domain/correction.rs).
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

-- Of readings with an assumed time: the sender's own numbers, which tell that a message was
-- sent again (ledger/numbers.rs).
CREATE TABLE numbers (
    device INTEGER NOT NULL REFERENCES devices (id),
    number INTEGER NOT NULL CHECK (number BETWEEN 0 AND 4294967295),
    at     INTEGER NOT NULL,  -- when it came first, Unix milliseconds
    PRIMARY KEY (device, number, at)
) STRICT, WITHOUT ROWID;

CREATE INDEX numbers_by_time ON numbers (at);

-- By which sources and mappings readings came.
CREATE TABLE sources (
    name     TEXT NOT NULL,
    digest   BLOB NOT NULL CHECK (length(digest) = 16), -- of the mapping
    readings INTEGER NOT NULL, -- those that were counted
    assumed  INTEGER NOT NULL, -- those of them whose time is assumed
    oldest   INTEGER NOT NULL, -- when the first was measured, Unix milliseconds
    newest   INTEGER NOT NULL,
    PRIMARY KEY (name, digest)
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

-- The node: one row. A database that is made again is another node.
CREATE TABLE node (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    id   BLOB NOT NULL CHECK (length(id) = 16), -- random
    made INTEGER NOT NULL                       -- Unix milliseconds
) STRICT;

INSERT INTO node (one, id, made) VALUES (1, randomblob(16), CAST(unixepoch('subsec') * 1000 AS INTEGER));

-- The nodes that this one sends readings to, by the number of the variable that names them.
CREATE TABLE peers (
    peer         INTEGER PRIMARY KEY CHECK (peer BETWEEN 1 AND 3),
    origin       TEXT NOT NULL,     -- such as https://hub.example
    since        INTEGER NOT NULL,  -- when it was first named, Unix milliseconds
    node         BLOB,              -- its id, as it said last; NULL: it has not answered yet
    anchor_batch BLOB,              -- the batch that it counted last, and the mark of its fold
    anchor_mark  BLOB,
    takes_from   INTEGER NOT NULL DEFAULT 0, -- it takes readings from this time on, Unix milliseconds
    readings_max INTEGER NOT NULL,  -- the most readings of a batch
    tried        INTEGER,           -- when it was last sent to, Unix milliseconds
    answered     INTEGER,           -- when it last took what was sent, Unix milliseconds
    failures     INTEGER NOT NULL DEFAULT 0, -- since then
    wait_until   INTEGER NOT NULL DEFAULT 0, -- nothing is sent before, Unix milliseconds
    error        TEXT,              -- what went wrong last; NULL since it answered
    sends        INTEGER NOT NULL DEFAULT 0, -- how often it was sent something
    sent_bytes   INTEGER NOT NULL DEFAULT 0,
    sent_readings INTEGER NOT NULL DEFAULT 0,
    again        INTEGER NOT NULL DEFAULT 0  -- how often everything was to be sent again
) STRICT;

-- Batches under way: sent, and not known to be counted.
CREATE TABLE batches (
    id       INTEGER PRIMARY KEY,
    peer     INTEGER NOT NULL REFERENCES peers (peer),
    batch    BLOB NOT NULL CHECK (length(batch) = 16),
    made     INTEGER NOT NULL,  -- Unix milliseconds
    readings INTEGER NOT NULL,
    answered INTEGER NOT NULL DEFAULT 0 CHECK (answered IN (0, 1)), -- 1: the peer took it, and said what it rejected
    asked    INTEGER NOT NULL DEFAULT 0 -- answers that did not know it to be counted
) STRICT;

-- What a peer may not have: of each minute, the readings from one on, sorted by time and
-- then by device, and all their corrections.
CREATE TABLE outbox (
    peer     INTEGER NOT NULL REFERENCES peers (peer),
    batch    INTEGER NOT NULL,  -- the batch that it was sent in; 0: it waits
    minute   INTEGER NOT NULL CHECK (minute >= 0),
    begin    INTEGER NOT NULL,  -- the first of them: ms * 2^47 + device
    readings INTEGER NOT NULL,  -- how many of them were counted since
    PRIMARY KEY (peer, batch, minute)
) STRICT, WITHOUT ROWID;

-- What a peer rejected, or would: it waits for the peer to change.
CREATE TABLE aside (
    peer     INTEGER NOT NULL REFERENCES peers (peer),
    reason   TEXT NOT NULL,     -- the peer's
    minute   INTEGER NOT NULL CHECK (minute >= 0),
    begin    INTEGER NOT NULL,
    readings INTEGER NOT NULL,
    again    INTEGER NOT NULL,  -- when it is sent again, Unix milliseconds
    PRIMARY KEY (peer, reason, minute)
) STRICT, WITHOUT ROWID;

-- The nodes that send to this one.
CREATE TABLE senders (
    sender   INTEGER PRIMARY KEY,
    node     BLOB NOT NULL CHECK (length(node) = 16),
    name     TEXT NOT NULL,     -- as it says; a token is for names
    first    INTEGER NOT NULL,  -- first contact, Unix milliseconds of this node's clock
    contact  INTEGER NOT NULL,  -- last contact
    as_of    INTEGER NOT NULL,  -- its clock then, Unix milliseconds
    minutes  INTEGER NOT NULL,  -- what it still had to send then: of how many minutes,
    waiting  INTEGER NOT NULL,  -- and how many readings
    hour     INTEGER NOT NULL,  -- how many it had counted of the hour before
    sends    INTEGER NOT NULL,  -- how often it had sent
    readings INTEGER NOT NULL,  -- readings of it that were folded
    forks    INTEGER NOT NULL DEFAULT 0, -- how often it went on from an earlier state
    forked   INTEGER,           -- when it last did, Unix milliseconds
    UNIQUE (node, name)
) STRICT;

-- Which regions the nodes that send to this one have sent readings of.
CREATE TABLE sender_regions (
    sender INTEGER NOT NULL REFERENCES senders (sender),
    region INTEGER NOT NULL REFERENCES regions (id),
    PRIMARY KEY (sender, region)
) STRICT, WITHOUT ROWID;

CREATE INDEX sender_regions_by_region ON sender_regions (region);

-- Batches that were counted: the last ones of each sender.
CREATE TABLE received (
    id     INTEGER PRIMARY KEY,
    sender INTEGER NOT NULL REFERENCES senders (sender),
    batch  BLOB NOT NULL CHECK (length(batch) = 16),
    mark   BLOB NOT NULL,       -- random: tells one life of a database from another
    UNIQUE (sender, batch)
) STRICT;

CREATE INDEX received_by_sender ON received (sender);

-- Who runs a beat, and until when.
CREATE TABLE lease (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    until INTEGER NOT NULL      -- Unix milliseconds
) STRICT;

INSERT INTO lease (one, until) VALUES (1, 0);
