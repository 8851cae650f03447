"""The calls of the machine's door. Thin: authenticate, read, call the verb, tell."""
