"""The control room: a page on loopback that shows a drill while it goes on, and from which it is steered."""
