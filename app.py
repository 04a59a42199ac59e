"""Start the app: `python app.py`, or a Hugging Face Space."""

from salmu_demo.core.ending import end_on_signals

if __name__ == "__main__":
    end_on_signals()
    # Only now, because it takes seconds, in which the app may be stopped.
    from salmu_demo.ui.app import main

    main()
