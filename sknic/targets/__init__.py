"""The kinds of slide-level target: regression, classification, survival."""
