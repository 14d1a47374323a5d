"""Labelled pictures of cameras that do not exist: scenes, weather, and what goes wrong."""
