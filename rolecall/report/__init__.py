"""The report of a run: its log read back, laid out on a time axis, and put on one page."""
