"""The world of the local target: what runs on this machine for one project and environment.

files.py         atomic writes, private folders, the lock that several provider processes share
token.py         who an object belongs to
machine.py       the few things that happen outside files, as one protocol; local.py does them for real
supervisord.py   configuration, start and remote calls of the project's own supervisord (by xml_rpc.py)
typed.py         data from outside as frozen dataclasses
control.py       a client of a model server's control socket
supervision.py   a supervisor that runs, and programs in it
server.py        a service's inputs as the configuration file of its server
store.py         the content-addressed store of models, and what may be removed from it
ports.py         stable choice of ports
observe.py       what `status` shows; logs.py what `logs` shows. Both only read
"""
