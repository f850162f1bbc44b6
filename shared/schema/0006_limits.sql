-- Schema version 6. Between what the temperatures of a region should be, and between what
-- they can be.

-- Temperatures in thousandths of a degree Celsius; NULL is no limit.
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
