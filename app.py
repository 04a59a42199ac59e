"""Start the app: `python app.py`, or a Hugging Face Space."""

from salmu_demo.ui.app import main

if __name__ == "__main__":
    main()
