"""A bad way between two sites: slow, narrow, and gone from time to time."""
