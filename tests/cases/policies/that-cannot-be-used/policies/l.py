CODE = "ACME009"
LEVEL = "fatal"


def check(resource, environment):
    yield from ()
