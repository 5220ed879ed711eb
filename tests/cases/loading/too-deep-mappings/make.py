SPEC = "x-deep: " + "{a: " * 100_000
