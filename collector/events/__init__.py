"""The closed loop: what went wrong, who took it on, what was done, and who checked it."""
