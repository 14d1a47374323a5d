"""Where the collector's spool is forwarded to."""
