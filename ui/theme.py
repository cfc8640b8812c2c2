"""Colours of the interface that maps and charts share."""

ACCENT = "#0B6E6E"
