"""Write requirements.lock from pyproject.toml: every version and hash, for every Python and system.

Run by `make lock`. The file has no index addresses in it, so it works with any mirror.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OLDEST_PYTHON = "3.10"
OPTIONS = [
    "--universal",  # one file for every Python and system, with environment markers
    f"--python-version={OLDEST_PYTHON}",
    "--generate-hashes",
    "--extra=dev",
    "--no-emit-package=slimlab",
    "--no-config",  # no index or find-links of whoever runs this
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--no-annotate",
    "--no-header",
    "--quiet",
]


def main() -> int:
    """Install uv where it is missing and let it resolve."""
    python = [sys.executable, "-m"]
    if subprocess.run([*python, "uv", "--version"], capture_output=True, check=False).returncode:
        # uv is needed for this alone, so it is not in the lock that it writes.
        subprocess.run([*python, "pip", "install", "--quiet", "uv"], check=True)
    # Local mirrors and wheel folders must not find their way into the lock.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("UV_", "PIP_"))}
    environment["UV_PYTHON_DOWNLOADS"] = "never"
    command = [*python, "uv", "pip", "compile", *OPTIONS, "--output-file=requirements.lock"]
    # uv keeps the versions of an existing lock where they still fit; `--upgrade` takes the newest.
    command += [*sys.argv[1:], "pyproject.toml"]
    return subprocess.run(
        command, cwd=ROOT, env=environment, check=False, stdout=subprocess.DEVNULL
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
