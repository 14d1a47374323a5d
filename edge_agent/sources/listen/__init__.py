"""MQTT devices straight to the agent: a listener whose PUBACK means "on disk"."""
