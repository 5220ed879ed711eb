CODE = "ACME002"
TITLE = "no service has more than ten replicas"
HELP = "ask the platform team"


def check(resource, environment):
    replicas = resource["properties"].get("spec", {}).get("replicas", 0)
    if environment["target"] == "kubernetes" and replicas > 10:
        yield f"{replicas} replicas are more than ten"
