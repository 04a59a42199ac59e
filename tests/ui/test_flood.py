"""Hundreds of small requests at once: some are refused, none does harm, and the page answers afterwards as before."""

import itertools
import json
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

REQUESTS = 400
AT_ONCE = 64
FINE_OR_REFUSED = {200, 400, 403, 404, 405, 413, 422, 429, 500, 503}


def answer(url: str, body: dict | None = None) -> int:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            response.read()
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_a_flood_is_survived(app_url: str, open_page):
    config = json.loads(urllib.request.urlopen(f"{app_url}config", timeout=30).read())
    handlers = [dependency["id"] for dependency in config["dependencies"]]
    strange = [[], [None], ["x" * 5000], [{"path": "/etc/passwd"}], [[["a"]] * 50], [1e308, -1]]

    def attack(number: int) -> int:
        if number % 10:
            return answer(app_url + ("theme.css", "gradio_api/file=/etc/passwd", "nothing")[number % 3])
        body = {
            "data": strange[number % len(strange)],
            "fn_index": handlers[number % len(handlers)],
            "session_hash": f"flood{number}",
        }
        return answer(f"{app_url}gradio_api/{'run/predict' if number % 50 else 'queue/join'}", body)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        codes = Counter(pool.map(attack, range(REQUESTS)))
    assert set(codes) <= FINE_OR_REFUSED
    assert codes[200] >= REQUESTS * 0.3  # the style sheet, every time
    assert codes[403] == REQUESTS * 0.3  # a file of the machine, never

    page = open_page()
    for portrait in itertools.islice(page.locator("#people .portrait").all(), 2):
        portrait.click()
        page.locator("#verdicts table").wait_for()
