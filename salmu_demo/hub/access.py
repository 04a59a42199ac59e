"""What a visitor of a public page may read: asked of the Hub with their own sign-in, whatever is cached here."""

from salmu_demo.core.errors import SalmuError
from salmu_demo.hub.client import Visitor, acting_for, ask_for, hub_errors, is_restricted
from salmu_demo.hub.reference import HubReference


def check_access(target: HubReference, visitor: Visitor, error_type: type[SalmuError]) -> bool:
    """Make sure that a visitor may read a repository; without the Hub nobody is let in.

    Returns:
        Whether the repository is private or gated, so that no other visitor may be given it on the strength of this
        answer.

    Raises:
        SalmuError: of the given type, if the Hub refuses or cannot be asked.
    """
    with acting_for(visitor), hub_errors(target, error_type):
        return is_restricted(ask_for(target))
