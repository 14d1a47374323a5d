"""What Tidegate costs, measured; `python benchmarks/table.py` prints the table of the docs."""
