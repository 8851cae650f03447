"""Doors for clients that exist already: each speaks its client's language and posts what the API would.

An adapter translates in and out. It finds the key where its client carries it, says errors as its client reads them, and keeps
nothing of its own: what it took in is an incident like any other, and what it answers is read from the incident as it is now.
"""
