"""The edge agent: takes in sensors and cameras, keeps them on site, forwards what policy allows."""

import os

# Arrow reads this once, when it is loaded. Its own allocator kept about 40 MB more after a rush
# than the system's does.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
