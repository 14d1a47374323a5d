"""Targets, corpus and runs of the fuzzers."""
