-- Schema version 9. Which regions the nodes that send to this one have sent readings of, so that
-- a region tells which of them it lacks something of. Known from the next batch of each on.
CREATE TABLE sender_regions (
    sender INTEGER NOT NULL REFERENCES senders (sender),
    region INTEGER NOT NULL REFERENCES regions (id),
    PRIMARY KEY (sender, region)
) STRICT, WITHOUT ROWID;

CREATE INDEX sender_regions_by_region ON sender_regions (region);
