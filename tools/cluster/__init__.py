"""One campaign on several hosts: Dask says where slices run, files by content bring finds home.

Why Dask: a slice is a task that needs nothing but its arguments, and Dask's scheduler runs a task
again when the worker that had it is gone, lets workers join and leave at any time, and needs no
broker or database besides.  Ray does the same with a far larger installation; Celery and RQ need
a broker and run a lost task again only after a timeout.
"""
