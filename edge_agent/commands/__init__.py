"""Commands to devices: checked, stored, sent at most once, and seen through to an end."""
