-- Schema version 2. Each window says how often it has changed, so that two
-- answers about the same time can be told apart, or known to be the same.

-- revision: transactions that changed it
ALTER TABLE windows ADD COLUMN revision INTEGER NOT NULL DEFAULT 1 CHECK (revision > 0);
