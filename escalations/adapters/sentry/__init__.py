"""The door for Sentry's SDKs: the DSN is changed, and what they report becomes incidents of kind `exception`.

`wire` undoes the encodings a body comes in, `envelope` takes it apart, `salvage` reads JSON that is broken or far too large,
`event` and `frames` make an incident of an event, `redact` takes out what nobody is to see, `views` answers.
"""
