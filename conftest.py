"""What holds for tests and doctests alike: Django is set up before any of its modules is read."""

import os
import sys
from pathlib import Path

import django

# The settings are named here and not in pyproject.toml, nor left in the environment for processes
# that are started: there they would be read before types are.
sys.path.insert(0, str(Path(__file__).parent))
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.web_settings"
django.setup()
del os.environ["DJANGO_SETTINGS_MODULE"]
