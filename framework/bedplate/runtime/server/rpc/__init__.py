"""The Open Inference Protocol over gRPC: an envelope around what is answered over HTTP.

messages.py      the protocol's messages, of the names and numbers that clients have
translation.py   a request as the body that the binary tensor extension would have, and an answer's body back
calls.py         the service: who may ask, what is asked, how it ends

Loaded only where a configuration has a port for it: grpcio is an extra.
"""
