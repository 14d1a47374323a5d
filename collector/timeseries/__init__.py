"""Time-series stores: one protocol (`collector.query.TimeSeries`), one file for each product."""
