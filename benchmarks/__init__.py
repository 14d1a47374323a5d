"""What Tidegate costs, measured; `python benchmarks/run.py` prints the table of the docs."""
