"""The orders service: placing, cancelling, fulfilling; its events; the sweep that finishes what was cut off."""
