"""The one command: command line, demo, doctor. Thin: every command is a few lines over a call."""
