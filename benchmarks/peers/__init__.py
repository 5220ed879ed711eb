"""The same model behind other servers; those with an environment of their own have NAME.in and NAME.lock.

They are started as `python -m` or as their own command, with the model's path and a port in the environment.
"""
