"""Whose documents each path of retrieval looks at: the caller's, unless the filter is switched off to show the bug."""

from enum import StrEnum

from target_stack.settings import Settings

__all__ = ["TenantFilter"]


class TenantFilter(StrEnum):
    """`FRESH_ONLY` is the bug that only an outage shows: what stands in for fresh retrieval forgets the tenant."""

    ON = "on"
    FRESH_ONLY = "fresh-only"
    OFF = "off"

    @classmethod
    def from_settings(cls, settings: Settings) -> "TenantFilter":
        """Return the one that is set."""
        return cls(settings.text("tenant-filter"))

    @property
    def of_stand_ins(self) -> bool:
        """Whether keyword search alone, cached documents and cached answers are kept apart by tenant."""
        return self is TenantFilter.ON

    def fresh(self, tenant: str) -> str | None:
        """Return in whose documents fresh retrieval searches; None for everybody's."""
        return None if self is TenantFilter.OFF else tenant

    def stand_in(self, tenant: str) -> str | None:
        """Return in whose documents that searches which stands in for it; None for everybody's."""
        return tenant if self.of_stand_ins else None
