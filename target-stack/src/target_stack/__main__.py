"""`python -m target_stack`, the same as the console script."""

from target_stack.cli import main

if __name__ == "__main__":
    main()
