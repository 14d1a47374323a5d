"""The collector: receives from every edge, keeps registry and time series, answers queries."""
