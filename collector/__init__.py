"""The collector: receives from every edge, keeps the registry, writes time series, answers queries."""
