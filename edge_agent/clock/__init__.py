"""How far the edge trusts its own clock, and what it does about times that were wrong."""
