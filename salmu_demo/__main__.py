"""`python -m salmu_demo` is `salmu-demo`."""

from salmu_demo.cli.main import main

if __name__ == "__main__":
    main()
