"""The only part of bedplate that knows Pulumi, processes and the network.

language_host.py   runs a stack's graph as a Pulumi program, for the engine
provider/          bedplate's own resources, for the engine
launchers.py       how the engine finds and starts both; the environment that it runs in
stack_folder.py    the folder of a stack, as the engine reads it
install.py         finds or installs the engine itself
secrets.py         secrets by name and fingerprint; redact.py keeps their values out of every text
"""
