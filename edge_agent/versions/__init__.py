"""Versions of profiles on this edge: which are used, where they come from, how others compare."""
