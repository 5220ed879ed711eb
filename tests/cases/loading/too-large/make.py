SPEC = "version: 1\nproject: flights\n" + "# filler\n" * 600_000
