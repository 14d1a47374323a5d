"""Where readings come from. A source acknowledges its sender only after the commit."""
