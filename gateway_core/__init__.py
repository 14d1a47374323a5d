"""What both programs are made of: records, wire, spool, forward, supervise, configuration, errors.

Imports nothing else of Tidegate. A module moves in here only when a second program needs it.
"""
