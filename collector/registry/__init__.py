"""The registry: edges, devices, feeds, systems and alarms as they stand now, in one database."""
