"""Start the app: `python app.py`, or a Hugging Face Space."""

from salmu_demo.core.ending import end_on_signals
from salmu_demo.core.garbage import search_seldom

if __name__ == "__main__":
    end_on_signals()
    search_seldom()
    # Only now, because it takes seconds, in which the app may be stopped.
    from salmu_demo.ui.app import main

    main()
