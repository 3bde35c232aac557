-- Persisted: never change this file once it is released, add the next version beside it.
-- Ids are ULIDs in 16 bytes, times are milliseconds since 1970 in UTC, a cursor is (epoch, offset).
-- JSON is kept byte for byte as TEXT so that the sqlite3 shell can read it.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO meta (key, value) VALUES ('offset_floor', 0);

CREATE TABLE settings (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE epochs (
    id             INTEGER PRIMARY KEY,
    closed_cleanly INTEGER NOT NULL
) STRICT;

-- AUTOINCREMENT, because a place that was given once must not come back when the newest events are deleted.
CREATE TABLE events (
    seq  INTEGER PRIMARY KEY AUTOINCREMENT,
    id   BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    data TEXT NOT NULL,
    key  TEXT,
    at   INTEGER NOT NULL,
    user TEXT,
    v    TEXT
) STRICT;

CREATE INDEX events_by_name ON events (name, seq);

CREATE TABLE event_keys (
    name  TEXT NOT NULL,
    key   TEXT NOT NULL,
    event BLOB NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (name, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX event_keys_by_end ON event_keys (until);

-- At most one of result and error is set. Keys and guards are JSON, absent when there are none.
CREATE TABLE runs (
    id          BLOB PRIMARY KEY,
    function    TEXT NOT NULL,
    event       BLOB NOT NULL,
    phase       INTEGER NOT NULL,
    lease       INTEGER NOT NULL,
    attempt     INTEGER NOT NULL,
    crashes     INTEGER NOT NULL,
    due_at      INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    started_at  INTEGER,
    ended_at    INTEGER,
    result      TEXT,
    error       TEXT,
    parent_run  BLOB,
    parent_step TEXT,
    keys        TEXT,
    guards      TEXT
) STRICT, WITHOUT ROWID;

-- Queries repeat the condition so that the planner may use these.
CREATE INDEX runs_queued ON runs (function, due_at, id) WHERE phase = 0 AND lease = 0;
CREATE INDEX runs_resumed ON runs (function, due_at, id) WHERE phase = 0 AND lease > 0;
CREATE INDEX runs_leased ON runs (id) WHERE phase = 1;
CREATE INDEX runs_by_event ON runs (event, id);
CREATE INDEX runs_by_parent ON runs (parent_run, parent_step) WHERE parent_run IS NOT NULL;

-- `at` is the time of the next try while open, and the end of the wait while waiting.
CREATE TABLE steps (
    run        BLOB NOT NULL,
    step       TEXT NOT NULL,
    verb       INTEGER NOT NULL,
    target     TEXT NOT NULL,
    attempts   INTEGER NOT NULL,
    state      INTEGER NOT NULL,
    at         INTEGER,
    seq        INTEGER,
    result     TEXT,
    error      TEXT,
    began_at   INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (run, step)
) STRICT, WITHOUT ROWID;

CREATE INDEX steps_waiting ON steps (run, step) WHERE state = 1;

-- The step is '' where the timer is for the run itself.
CREATE TABLE timers (
    at   INTEGER NOT NULL,
    run  BLOB NOT NULL,
    step TEXT NOT NULL,
    PRIMARY KEY (at, run, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE event_waits (
    run      BLOB NOT NULL,
    step     TEXT NOT NULL,
    event    TEXT NOT NULL,
    matching TEXT NOT NULL,
    condition TEXT,
    after    INTEGER NOT NULL,
    until    INTEGER,
    PRIMARY KEY (run, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE channels (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    name        TEXT NOT NULL UNIQUE,
    head_epoch  INTEGER NOT NULL,
    head_offset INTEGER NOT NULL
) STRICT;

-- Rows lie in the order of their commits and an index leads to them by channel: with many channels at once that dirties a
-- third of the pages that rows clustered by channel would. The payload of a rollback is the cursor after which it voids.
CREATE TABLE messages (
    channel    INTEGER NOT NULL,
    epoch      INTEGER NOT NULL,
    offset     INTEGER NOT NULL,
    kind       INTEGER NOT NULL,
    topic      TEXT NOT NULL,
    payload    TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    run        BLOB,
    step       TEXT,
    attempt    INTEGER,
    PRIMARY KEY (channel, epoch, offset)
) STRICT;

CREATE TABLE topic_trims (
    channel INTEGER NOT NULL,
    topic   TEXT NOT NULL,
    epoch   INTEGER NOT NULL,
    offset  INTEGER NOT NULL,
    PRIMARY KEY (channel, topic)
) STRICT, WITHOUT ROWID;

CREATE TABLE publish_keys (
    channel INTEGER NOT NULL,
    key     TEXT NOT NULL,
    epoch   INTEGER NOT NULL,
    offset  INTEGER NOT NULL,
    until   INTEGER NOT NULL,
    PRIMARY KEY (channel, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX publish_keys_by_end ON publish_keys (until);

-- The first message of a run on a channel, from where a rollback has to look, and the last one of its body that stands for good.
CREATE TABLE run_channels (
    run            BLOB NOT NULL,
    channel        INTEGER NOT NULL,
    first_epoch    INTEGER NOT NULL,
    first_offset   INTEGER NOT NULL,
    settled_epoch  INTEGER NOT NULL,
    settled_offset INTEGER NOT NULL,
    PRIMARY KEY (run, channel)
) STRICT, WITHOUT ROWID;

-- Attempts that published what a topic's bounds took before a commit stood behind it, with the last of that: somebody may hold it still.
-- The step is '' for the body.
CREATE TABLE trimmed_attempts (
    run         BLOB NOT NULL,
    channel     INTEGER NOT NULL,
    topic       TEXT NOT NULL,
    step        TEXT NOT NULL,
    attempt     INTEGER NOT NULL,
    last_epoch  INTEGER NOT NULL,
    last_offset INTEGER NOT NULL,
    PRIMARY KEY (run, channel, topic, step, attempt)
) STRICT, WITHOUT ROWID;

-- What a run's body has published for good, by hash of channel, topic and payload.
CREATE TABLE body_messages (
    run   BLOB NOT NULL,
    hash  BLOB NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (run, hash)
) STRICT, WITHOUT ROWID;
