#!/usr/bin/env python3
"""The fuzz target under the name and in the form that OSS-Fuzz packages: see fuzz/oss-fuzz/.

compile_python_fuzzer puts code before this file when it measures coverage, so nothing here may
have to come first.
"""

import sys

from fuzz.target import main

if __name__ == "__main__":
    sys.exit(main())
