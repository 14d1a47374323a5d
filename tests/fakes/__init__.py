"""Peers of the programs under test: small classes, or real servers on free loopback ports."""
