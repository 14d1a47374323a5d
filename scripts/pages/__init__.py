"""The generated pages of docs/reference, one file each."""
