"""What can be broken: one fault, one file, registered by name under the entry point group `brownout.faults`."""
