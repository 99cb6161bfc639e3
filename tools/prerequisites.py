"""What the tests need from the machine beside Python: a browser, real images, Node.

Found where it is installed; on Debian and as root, installed by name with apt-get. Never sudo, and
nothing is downloaded from anywhere else.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

CHROME_NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
)
CHROME_PATHS = (
    Path("/Applications/Chromium.app/Contents/MacOS/Chromium"),
    Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),
    Path.home() / "Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
NO_CHROME = (
    "No Chromium or Chrome was found, and the browser tests drive one. Install it"
    " (Debian: apt-get install chromium; Ubuntu, macOS: Google Chrome) or name it:"
    " CHROME=/path/to/chrome make test."
)
FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
NO_FASHION_MNIST = (
    "Fashion-MNIST is not installed; the tests that need it are skipped, the others use digits."
    " Debian and Ubuntu: apt-get install dataset-fashion-mnist."
)
OLDEST_NODE = 20
NO_NODE = (
    f"Node {OLDEST_NODE} or newer with npm was not found: the front end's own tests and the check"
    " that its bundle is current did not run."
)


def find_chrome() -> Path | None:
    """Give the browser named by CHROME, or the first that is installed."""
    named = os.environ.get("CHROME")
    if named:
        found = shutil.which(named)
        return Path(found) if found else None
    for name in CHROME_NAMES:
        found = shutil.which(name)
        if found:
            return Path(found)
    return next((path for path in CHROME_PATHS if path.is_file()), None)


def find_fashion_mnist() -> Path | None:
    """Give the folder of Debian's Fashion-MNIST, where it is installed."""
    return FASHION_MNIST if FASHION_MNIST.is_dir() else None


def find_npm() -> str | None:
    """Give npm, where it comes with a Node that is new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        return None
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    major = version.stdout.strip().removeprefix("v").split(".")[0]
    return npm if major.isdigit() and int(major) >= OLDEST_NODE else None


def ensure(find: Callable[[], Path | None], package: str) -> Path | None:
    """Give what `find` finds, after installing Debian's `package` where that is possible."""
    found = find()
    if found is not None or (find is find_chrome and os.environ.get("CHROME")):
        return found
    apt = shutil.which("apt-get")
    if apt is None or not hasattr(os, "geteuid") or os.geteuid() != 0:
        return None
    print(f"slimlab: installing Debian's {package} with apt-get.", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    update = [apt, "-qq", "update"]
    install = [apt, "-qq", "--yes", "--no-install-recommends", "install", package]
    for command in (update, install):
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            sys.stderr.write(f"slimlab: `{' '.join(command)}` failed:\n{done.stdout[-2000:]}\n")
    return find()
