"""The edge agent: takes in sensors and cameras, keeps them on site, forwards what policy allows."""

import os

# Arrow reads this once, when it is loaded. Its own allocator keeps 40 MB of what a busy minute once
# needed; the system's gives it back.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
