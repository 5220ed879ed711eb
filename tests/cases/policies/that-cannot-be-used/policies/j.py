CODE='ACME007'
def check(resource, environment):
    return resource['none']
