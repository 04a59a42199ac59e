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
    """One page of the app at an address; each has a session of its own, and behind a proxy an address of its own."""

    url: str
    session: str = field(default_factory=lambda: uuid.uuid4().hex)
    address: str = "192.0.2.1"
    patience: float = 60

    def __post_init__(self) -> None:
        self.config = json.loads(self.get("config"))
        self.components = {component["id"]: component for component in self.config["components"]}

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=60) as response:
            content: bytes = response.read()
        return content

    def post(self, path: str, body: bytes, kind: str = "application/json") -> Any:
        headers = {"Content-Type": kind, "X-Forwarded-For": self.address}
        request = urllib.request.Request(f"{self.url}gradio_api/{path}", body, headers)
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

    def values(self, dependency: dict[str, Any]) -> list[Any]:
        """The inputs of an event as a page just opened would send them."""
        return [self.components[i]["props"].get("value") for i in dependency["inputs"]]

    def send(self, elem_id: str, name: str, *values: Any, said: Any = None) -> Outcome:
        """Send an event whose first inputs have the given values, and the others those of a page just opened."""
        dependency = self.event(elem_id, name)
        data = self.values(dependency)
        data[: len(values)] = values
        return self.ask(dependency, data, said)

    def ask(self, dependency: dict[str, Any], data: list[Any], said: Any = None) -> Outcome:
        """Send an event with all its inputs and what it says of itself, and wait for the answer."""
        body = {"data": data, "fn_index": dependency["id"], "session_hash": self.session, "event_data": said}
        if not dependency["queue"]:
            return self._ask_at_once(body)
        event = self.post("queue/join", json.dumps(body).encode())["event_id"]
        with urllib.request.urlopen(
            f"{self.url}gradio_api/queue/data?session_hash={self.session}", timeout=self.patience
        ) as stream:
            for line in stream:
                message = json.loads(line.removeprefix(b"data: ")) if line.startswith(b"data: ") else {}
                if message.get("msg") == "process_completed" and message.get("event_id") == event:
                    output = message["output"]
                    return Outcome(output.get("data", []), None if message["success"] else output.get("error"))
        raise EOFError("The event has not ended.")

    def _ask_at_once(self, body: dict[str, Any]) -> Outcome:
        try:
            return Outcome(self.post("run/predict", json.dumps(body).encode())["data"], None)
        except urllib.error.HTTPError as error:
            content = error.read()
            if error.code != 500:
                raise
            return Outcome([], json.loads(content)["error"])


def file_payload(path: object, **more: Any) -> dict[str, Any]:
    """What the page sends for a file."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}, **more}


def multipart(name: str, content: bytes, field: str = "files") -> bytes:
    """One part of an upload; the last one is followed by `END`."""
    head = f'--edge\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
    return head.encode() + content + b"\r\n"
