-- What a record is, as filters and listings name it, and what it is of.
ALTER TABLE record ADD COLUMN kind TEXT NOT NULL DEFAULT 'regular';
ALTER TABLE record ADD COLUMN description TEXT NOT NULL DEFAULT '';

-- Records of steps that collection removed, the latest ones.
CREATE TABLE eviction (
    key BLOB NOT NULL PRIMARY KEY,
    lineage BLOB,
    evicted INTEGER NOT NULL,
    cause TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX eviction_by_lineage ON eviction (lineage, evicted) WHERE lineage IS NOT NULL;
CREATE INDEX eviction_by_time ON eviction (evicted);

-- The last collection by policy: one row.
CREATE TABLE collection (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    finished INTEGER NOT NULL,
    -- What could be written to the disk then.
    free INTEGER NOT NULL,
    -- What the cache took then, if it was measured.
    used INTEGER,
    error TEXT
) STRICT;

-- By the id that Dockerfiles give a cache mount.
CREATE TABLE cache_mount_limit (
    mount TEXT NOT NULL PRIMARY KEY,
    bytes INTEGER NOT NULL,
    eviction TEXT NOT NULL
) STRICT, WITHOUT ROWID;
