-- 1: a build brought the image in, and nobody has named it since.
ALTER TABLE image ADD COLUMN of_build INTEGER NOT NULL DEFAULT 0;
