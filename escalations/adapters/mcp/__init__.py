"""MCP (Model Context Protocol) over HTTP: tools with which any agent host asks a person, and a coding agent asks for permission.

Plain JSON, no sessions and no streams: each POST is one message and has one answer, so a host goes on after a restart of either
side where it was. What is to survive has an id: the incident's, the caller's own key, or the tool call's.
"""
