"""Synthetic slides, patches and cohorts: layouts, tissue, stains and the targets that they carry."""
