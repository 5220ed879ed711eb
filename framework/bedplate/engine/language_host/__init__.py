"""bedplate as a Pulumi language: a program in it is the data that `bedplate compile` wrote.

host.py          what the engine asks of a language
registration.py  a graph told to the engine, resource by resource
"""
