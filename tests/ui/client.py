"""A visitor without a browser: uploads, events by the id of a component, and whatever payload one likes."""

import json
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass, field
from typing import Any, Final

MULTIPART: Final = "multipart/form-data; boundary=edge"
END: Final = b"--edge--\r\n"


@dataclass(frozen=True)
class Outcome:
    """How an event ended: the values of its outputs, or the sentence the visitor sees."""

    data: list[Any]
    error: str | None


@dataclass
class Visitor:
    """One page of the app at an address; each has a session of its own."""

    url: str
    session: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __post_init__(self) -> None:
        self.config = json.loads(self.get("config"))
        self.components = {component["id"]: component for component in self.config["components"]}

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=60) as response:
            content: bytes = response.read()
        return content

    def post(self, path: str, body: bytes, kind: str = "application/json") -> Any:
        request = urllib.request.Request(f"{self.url}gradio_api/{path}", body, {"Content-Type": kind})
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.loads(response.read())

    def status(self, path: str, body: bytes | None = None, kind: str = "application/json") -> int:
        """The status of an answer."""
        request = urllib.request.Request(f"{self.url}{path}", body, {"Content-Type": kind})
        try:
            urllib.request.urlopen(request, timeout=60).close()
        except urllib.error.HTTPError as error:
            return error.code
        return 200

    def upload(self, name: str, content: bytes) -> dict[str, Any]:
        """Upload a file, and return what an event is then given for it."""
        (path,) = self.post("upload", multipart(name, content) + END, MULTIPART)
        return file_payload(path)

    def event(self, elem_id: str, name: str) -> dict[str, Any]:
        """An event of a component."""
        for dependency in self.config["dependencies"]:
            for target, event in dependency["targets"]:
                if event == name and self.components.get(target, {}).get("props", {}).get("elem_id") == elem_id:
                    return dict(dependency)
        raise LookupError(f"There is no event {name} of {elem_id}.")

    def send(self, elem_id: str, name: str, *values: Any) -> Outcome:
        """Send an event whose first inputs have the given values, and the others those of a page just opened."""
        dependency = self.event(elem_id, name)
        data = [self.components[i]["props"].get("value") for i in dependency["inputs"]]
        data[: len(values)] = values
        body = {"data": data, "fn_index": dependency["id"], "session_hash": self.session}
        event = self.post("queue/join", json.dumps(body).encode())["event_id"]
        with urllib.request.urlopen(
            f"{self.url}gradio_api/queue/data?session_hash={self.session}", timeout=60
        ) as stream:
            for line in stream:
                message = json.loads(line.removeprefix(b"data: ")) if line.startswith(b"data: ") else {}
                if message.get("msg") == "process_completed" and message.get("event_id") == event:
                    output = message["output"]
                    return Outcome(output.get("data", []), None if message["success"] else output.get("error"))
        raise EOFError("The event has not ended.")


def file_payload(path: object, **more: Any) -> dict[str, Any]:
    """What the page sends for a file."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}, **more}


def multipart(name: str, content: bytes, field: str = "files") -> bytes:
    """One part of an upload; the last one is followed by :data:`END`."""
    head = f'--edge\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
    return head.encode() + content + b"\r\n"
