"""The one-screen console: static files that speak to ``/api/v1`` and to nothing else."""
