"""The only part of bedplate that knows Pulumi, processes and the network.

language_host/     runs a stack's graph as a Pulumi program
provider/          bedplate's own resources
plugin_process.py  how both live as processes, from quiet_start.py on, and end with the engine (parent.py)
protocol.py        the messages that both speak
launchers.py       how the engine finds and starts both; the environment that it runs in
stack_folder.py    the folder of a stack, as the engine reads it; sources.py: where in the spec all is from;
                   stack_settings.py: the engine's own file in it
install.py         finds or installs the engine itself
images/            builds the images of servers
long_run.py        programs that take minutes
session.py         one command's work: the stacks of an environment, and what is known without an engine
apply.py           previews, applies, refreshes, destroys; pulumi.py runs the CLI, classify.py reads its words,
                   unreachable.py those about a backend
plan.py            what would change, in the spec's own words; saved plans
state.py           checkpoints, and records beside them; remote_state.py asks the engine for those elsewhere
identity.py        whose they are; lock.py: one at a time
engine_lock.py     what an engine that was killed leaves of its own lock
recover.py         after a command was killed
world/             processes, sockets and files of the local target
secrets.py         secrets by name and fingerprint; redact.py keeps their values out of every text
"""
