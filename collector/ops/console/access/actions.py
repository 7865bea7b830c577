"""Actions of the console: whether the settings allow them, and their lines in the process log."""

from starlette.requests import Request

from collector.ops.console.access.guard import address_of, caller_of
from collector.ops.console.api.refusals import refused
from collector.process_log.of_console import ConsoleAction
from collector.settings import AdminSettings


def check_actions(admin: AdminSettings) -> None:
    """Raise Rejected unless the settings allow actions. Call it before the body is read."""
    if not admin.allow_actions:
        raise refused("actions_off", "this console only reads: set admin.allow_actions = true and reload")


def log_action(request: Request, action: str, subject: str, result: str) -> None:
    """Write an action, its actor, and how it ended. `subject` and `result` hold nothing of an event."""
    caller = caller_of(request)
    ConsoleAction(action, caller.name if caller else "", address_of(request.scope), subject, result).write()
