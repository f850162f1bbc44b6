-- Schema version 7. Nodes exchange readings (exchange/mod.rs): which node this database is,
-- what its peers may not have yet, and what it has from others.

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
