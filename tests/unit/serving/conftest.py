"""Makes the modules that run on a target importable; they are no part of a package here."""

from __future__ import annotations

import sys
from pathlib import Path

BACKEND = Path(__file__).resolve().parents[3] / "roles" / "repo" / "backends" / "tensorrtllm"
sys.path.insert(0, str(BACKEND))
