-- Desired state. Everything that is actual is asked from the engine.

CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT;

CREATE TABLE functions (
  namespace        TEXT NOT NULL,
  name             TEXT NOT NULL,
  -- Revisions as JSON: { id, spec, imageId?, createdAt }.
  revision         TEXT NOT NULL,
  last_good        TEXT,
  replicas         INTEGER NOT NULL,
  origin           TEXT,
  invocation_count INTEGER NOT NULL DEFAULT 0,
  created_at       TEXT NOT NULL,
  PRIMARY KEY (namespace, name)
) STRICT;

CREATE TABLE namespaces (
  name        TEXT PRIMARY KEY,
  labels      TEXT NOT NULL,
  annotations TEXT NOT NULL
) STRICT;
