"""A DNS responder for the names of links, so that a name can fail to resolve. Needs `dnspython`."""
