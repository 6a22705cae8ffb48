"""Writing and reading sknic's files, which are complete, have checksums, and contain no code."""
