"""The language: YAML to located tree (load), environments (overlay), types, the project frame, the schema.

`load` is the only module of the compiler that reads files.
"""
