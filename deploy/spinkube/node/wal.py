"""Puts the journal's file into WAL mode, and makes it if there is none: one sync a request.

The file's path is the only argument. A file that is there keeps its content. Nothing else may have
it open (`Recreate`).
"""

import sqlite3
import sys

try:
    database = sqlite3.connect(sys.argv[1], timeout=10, isolation_level=None)
    # The page size of a new file; one that is there keeps its own.
    database.execute("PRAGMA page_size = 1024")
    mode = database.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    # Spin's own statement: SQLite writes no file without a table.
    database.execute(
        "CREATE TABLE IF NOT EXISTS spin_key_value "
        "(store TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (store, key))"
    )
    database.close()
except sqlite3.Error as error:
    sys.exit(f"the journal {sys.argv[1]}: {error}")
if mode != "wal":
    sys.exit(f"the journal {sys.argv[1]} stays in mode {mode}: is its disk one of this machine?")
