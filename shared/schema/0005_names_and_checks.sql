-- Schema version 5. The devices of a region by their names, so that reading a page of
-- them reads no others. Runs and histograms that are written from now on have a
-- checksum (ledger/sorted_run.rs, domain/histogram.rs), which older releases can't
-- read.

CREATE TABLE region_devices (
    region INTEGER NOT NULL REFERENCES regions (id),
    name   TEXT NOT NULL,                            -- the device's
    device INTEGER NOT NULL REFERENCES devices (id),
    PRIMARY KEY (region, name)
) STRICT, WITHOUT ROWID;
