"""What can be asserted of a run: one probe a file, registered by name under `brownout.probes`."""
