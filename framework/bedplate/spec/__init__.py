"""The language: YAML to located tree (load), environments (overlay), types, the project frame, the schema.

`load` and `inputs` are the only modules of the compiler that read files.
"""
