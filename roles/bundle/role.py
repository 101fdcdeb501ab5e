"""Deploying without a network: the bundle that everything comes from."""

from collections.abc import Iterator

from rolecall.api import Directory, Host, Resource, quote, role
from roles.bundle.needs import all_needs, short
from roles.bundle.settings import Bundle
from roles.bundle.verified import VerifiedBundle


@role(Bundle)
def bundle(host: Host, settings: Bundle) -> Iterator[Resource]:
    """Verify the bundle, where there is one; everywhere else this is nothing."""
    if settings.path:
        needs = tuple((need.key, need.what, need.unless) for need in all_needs(host))
        yield Directory(host.path("bundle"))
        yield VerifiedBundle(
            settings.path,
            host.path("bundle", short(settings.path)),
            needs,
            f"./inv bundle --hosts {quote(host.name)} --output DIRECTORY",
        )
