"""The model server: a small master that holds the listening socket, and workers that run models.

`__main__` starts a master (`master`, `fleet`, `child`, `control`: asyncio and the standard library
only); `worker` is the process that answers requests (`connections` under `front` under `infer`,
with `pages` for everything but inference). Only `config`, `log` and `control` are shared by both,
and only `control` and `auth.digest` are meant for callers outside of this package.
"""
