"""What people and scripts ask the collector: ``/api/v1``, ``/docs``, ``/metrics``, the console."""
