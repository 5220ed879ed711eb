"""Speed, as ratios against a peer measured in the same run: `make bench` writes docs/benchmarks.md.

Two commands are run in turn, A B A B ..., and compared pair by pair, so that a machine whose speed drifts
does not decide. A figure is the median of the pairs' ratios; its limit is what the project promises.
"""
