"""`python -m bedplate.engine.provider --project ROOT [engine address]`."""

from __future__ import annotations

from bedplate.engine.quiet_start import end_quietly

if __name__ == "__main__":
    end_quietly()
    from bedplate.engine.provider.main import main

    main()
