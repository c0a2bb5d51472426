-- What is known of async calls: a view. Delivery is the queue's matter alone.

CREATE TABLE calls (
  id        TEXT NOT NULL,
  -- name.namespace
  function  TEXT NOT NULL,
  state     TEXT NOT NULL,
  -- Milliseconds since the epoch.
  queued_at INTEGER NOT NULL,
  ended_at  INTEGER,
  -- Everything, as JSON.
  record    TEXT NOT NULL,
  PRIMARY KEY (id, function)
) STRICT;

CREATE INDEX calls_open ON calls (function, queued_at) WHERE ended_at IS NULL;
CREATE INDEX calls_ended ON calls (ended_at) WHERE ended_at IS NOT NULL AND state <> 'dead';
CREATE INDEX calls_dead ON calls (function) WHERE state = 'dead';

-- function:NAME.NAMESPACE and queue:NAME of which nothing is taken.
CREATE TABLE paused (
  scope TEXT PRIMARY KEY
) STRICT;
