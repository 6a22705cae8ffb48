"""A file of ours is whole, checksummed, and holds no code."""
