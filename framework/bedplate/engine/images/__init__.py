"""Building the images of bedplate's own servers. What is in one is said by bedplate.image.

wheels.py    the Python packages, gathered outside and kept in the user's cache
package.py   bedplate itself as a wheel, made of what runs
context.py   the folder that a builder builds from
builders.py  docker, podman and buildah
build.py     one image: written, built, pushed, or found to be there already
"""
