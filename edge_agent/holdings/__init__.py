"""What an edge holds of profile versions on its disk: the lock, the bundles, what they come to."""
