-- function:NAME.NAMESPACE and queue:NAME of which no async calls are taken. The calls themselves are in calls.db.

CREATE TABLE paused (
  scope TEXT PRIMARY KEY
) STRICT;
