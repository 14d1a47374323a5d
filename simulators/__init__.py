"""Black-box peers: a fleet of sensors, cameras and systems that speak the real protocols."""
