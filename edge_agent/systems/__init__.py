"""IT systems watched from the edge: probe, judge by two of three, record on change and hourly."""
