CODE = "ACME002"
TITLE = "ten replicas are enough"
HELP = "ask the platform team"
LEVEL = "warning"


def check(resource, environment):
    if resource["type"].endswith(":Deployment") and resource["properties"]["spec"]["replicas"] > 10:
        yield f"{resource['properties']['spec']['replicas']} replicas are more than ten"
