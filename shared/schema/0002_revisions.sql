-- Schema version 2. Each window counts its changes, so that two answers about the same
-- time are known to be equal or different.

-- revision: transactions that changed it
ALTER TABLE windows ADD COLUMN revision INTEGER NOT NULL DEFAULT 1 CHECK (revision > 0);
