"""Print the requirements of the build and of the extras named as arguments, one a line.

Why: pip installs extras only together with the package itself, whose build needs them first.
"""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
extras = project["project"]["optional-dependencies"]

wanted = list(project["build-system"]["requires"])
for extra in sys.argv[1:]:
    wanted += extras[extra]
print("\n".join(wanted))
