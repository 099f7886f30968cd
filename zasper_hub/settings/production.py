"""Settings of a running hub."""

from zasper_hub.settings.base import *
