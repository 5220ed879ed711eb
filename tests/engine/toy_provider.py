"""The provider of toys as a process, started as bedplate's own is."""

from __future__ import annotations

from bedplate.engine.quiet_start import end_quietly

if __name__ == "__main__":
    end_quietly()
    from tests.engine.toys import main

    main()
