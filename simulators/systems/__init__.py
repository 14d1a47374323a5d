"""Simulated IT systems that answer over TCP and HTTP, go down and come back."""
