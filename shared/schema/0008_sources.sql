-- Schema version 8. Readings whose sender gave no time are counted apart. Runs that have such
-- readings have a mark that older releases can't read (ledger/row.rs).

-- How many of the readings have the time of their arrival, as their sender gave none.
ALTER TABLE windows ADD COLUMN assumed INTEGER NOT NULL DEFAULT 0;

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
