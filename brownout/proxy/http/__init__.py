"""HTTP/1.1 on a link that is declared to carry it: where messages begin and end, and answers given in between."""
