-- Schema version 6. The regions of a device are found by an index. How often a device is
-- expected to send can be set. Runs that are written from now on have a late flag for
-- each reading, and for each device its lowest and highest temperature and the last gaps
-- between its readings (ledger/row.rs, device_window.rs), which older releases can't
-- read.

CREATE INDEX region_devices_by_device ON region_devices (device);

-- How often a device is expected to send, where that is not left to its own gaps.
CREATE TABLE device_settings (
    device     INTEGER PRIMARY KEY REFERENCES devices (id),
    interval_s INTEGER NOT NULL CHECK (interval_s BETWEEN 0 AND 604800) -- seconds; 0: it may be silent
) STRICT;
