"""Settings that can follow a published recipe to the letter, even where it is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, field_validator, model_validator

from rolecall.api import Settings


class Published(Settings):
    """Base of settings of which a published recipe gets some wrong."""

    published_exactly: bool = False
    """Do what a published recipe says even where it is wrong: ``as_published`` takes the place of
    the settings of the same name. Without it, the right thing is done."""

    as_published: dict[str, Any] = Field(default_factory=dict)
    """The settings in which the published recipe differs from the right thing."""

    @model_validator(mode="before")
    @classmethod
    def _as_published(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and values.get("published_exactly") is True:
            return merged(values, values.get("as_published") or {})
        return values

    @field_validator("as_published")
    @classmethod
    def _it_names_settings(cls, value: dict[str, Any]) -> dict[str, Any]:
        if wrong := sorted(set(value) - set(cls.model_fields)):
            raise ValueError(f"there is no setting {wrong[0]}")
        return value


def merged(values: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` with those of ``over`` in their place, mappings key by key."""
    result = dict(values)
    for key, value in over.items():
        below = result.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            value = merged(below, value)
        result[key] = value
    return result
