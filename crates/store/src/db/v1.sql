-- Times are milliseconds since 1970. Digests and keys are 32 raw bytes.

CREATE TABLE meta (
    name TEXT NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE image (
    reference TEXT NOT NULL PRIMARY KEY,
    descriptor TEXT NOT NULL,
    updated INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE layer (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    diff_id BLOB,
    chain BLOB,
    self_contained INTEGER NOT NULL,
    -- 1: the snapshot is in its place.
    snapshot INTEGER NOT NULL DEFAULT 0,
    -- The boot in which a snapshot was published that is not known to be on disk.
    unsynced BLOB,
    size INTEGER,
    created INTEGER NOT NULL
) STRICT;
CREATE INDEX layer_by_diff_id ON layer (diff_id) WHERE diff_id IS NOT NULL;
CREATE INDEX layer_by_unsynced ON layer (unsynced) WHERE unsynced IS NOT NULL;

CREATE TABLE layer_blob (
    layer INTEGER NOT NULL REFERENCES layer (id) ON DELETE CASCADE,
    digest BLOB NOT NULL,
    size INTEGER NOT NULL,
    media_type TEXT NOT NULL,
    PRIMARY KEY (layer, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX layer_blob_by_digest ON layer_blob (digest);

CREATE TABLE layer_source (
    layer INTEGER NOT NULL REFERENCES layer (id) ON DELETE CASCADE,
    digest BLOB NOT NULL,
    reference TEXT NOT NULL,
    PRIMARY KEY (layer, digest, reference)
) STRICT, WITHOUT ROWID;

CREATE TABLE record (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    lineage BLOB,
    created INTEGER NOT NULL,
    used INTEGER NOT NULL,
    -- Layer ids, 8 bytes each, little endian.
    layers BLOB NOT NULL,
    value BLOB NOT NULL,
    parts BLOB NOT NULL
) STRICT;
CREATE INDEX record_by_lineage ON record (lineage, created) WHERE lineage IS NOT NULL;

-- From keys that are computed without I/O to keys of records, which may not be there yet.
CREATE TABLE record_alias (
    alias BLOB NOT NULL PRIMARY KEY,
    key BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX record_alias_by_key ON record_alias (key);

CREATE TABLE stat_cache (
    device INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    entries BLOB NOT NULL,
    PRIMARY KEY (device, bucket)
) STRICT, WITHOUT ROWID;

CREATE TABLE container (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    image TEXT NOT NULL,
    image_digest BLOB,
    config TEXT NOT NULL,
    layers BLOB NOT NULL,
    created INTEGER NOT NULL,
    state TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE cache_mount (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL,
    created INTEGER NOT NULL,
    used INTEGER NOT NULL
) STRICT;
CREATE INDEX cache_mount_by_key ON cache_mount (key);
