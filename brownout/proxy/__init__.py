"""The fault proxy: sits on a link between two services and breaks it on request.

Run it with `python -m brownout.proxy`; steer it with `brownout.proxy.client`, or with any client of Toxiproxy's
HTTP API. Importing this package imports nothing else.
"""
