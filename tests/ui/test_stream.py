"""What scripts of the page mend of Gradio's: no event is lost while a stream closes, and an idle page draws nothing."""

import time
from collections.abc import Iterator
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from salmu_demo.ui.shell.server import ANSWERS
from tests.fixtures import tiny
from tests.ui.conftest import PATIENCE_MS, profile

CLOSE_LATE: Final = """
(() => {
  const fetch = window.fetch;
  let release = () => {};
  window.late = 0;
  window.fetch = async (...request) => {
    const address = String(request[0].url ?? request[0]);
    const response = await fetch(...request);
    // A moment later, when the client has seen this answer.
    if (address.includes('/queue/join')) setTimeout(() => release(), 100);
    if (!address.includes('/queue/data')) return response;
    const hold = new TransformStream({
      async transform(text, controller) {
        const end = text.indexOf('data: {"msg":"close_stream"');
        if (end > 0) controller.enqueue(text.slice(0, end));
        if (end >= 0) await new Promise((resolve) => { release = resolve; });
        if (end >= 0) window.late += 1;
        controller.enqueue(text.slice(Math.max(end, 0)));
      },
    });
    const body = response.body.pipeThrough(new TextDecoderStream()).pipeThrough(hold);
    return new Response(body.pipeThrough(new TextEncoderStream()), response);
  };
})()
"""
"""The message that closes a stream arrives only when the page has sent another event and its POST has been answered."""

FAKE: Final = """
() => {
  window.streams = [];
  window.refused = false;
  window.fetch = async (input, init) => {
    const request = new Request(input, init);
    if (request.url.endsWith('/join')) return new Response(await request.text());
    if (window.refused) return new Response('', {status: 404});
    const {readable, writable} = new TransformStream();
    const writer = writable.getWriter();
    const stream = {
      bytes: (bytes) => { writer.write(bytes).catch(() => {}); },
      send: (...messages) => messages.forEach((message) => stream.bytes(new TextEncoder().encode(message))),
      end: () => writer.close(),
      fail: (error) => writer.abort(error),
      aborted: false,
    };
    request.signal.addEventListener('abort', () => { stream.aborted = true; stream.fail(request.signal.reason); });
    window.streams.push(stream);
    return new Response(readable, {headers: {'x-from': 'the server'}});
  };
  window.join = (event) => fetch('http://app/queue/join', {method: 'POST', body: JSON.stringify({event_id: event})});
  window.answer = (event) => `data: {"msg":"process_completed","event_id":"${event}"}\\n\\n`;
  window.closing = 'data: {"msg":"close_stream","event_id":null}\\n\\n';
  window.listen = async () => {
    window.got = '';
    window.over = '';
    window.client = new AbortController();
    const response = await fetch(new Request('http://app/queue/data?session_hash=a', {signal: window.client.signal}));
    if (!response.ok) return response.status;
    window.reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const read = async () => {
      for (let part; !(part = await window.reader.read()).done;) window.got += part.value;
    };
    read().then(() => { window.over = 'ended'; }, (error) => { window.over = error.name; });
    return response.headers.get('x-from');
  };
  window.state = async () => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    const events = [...window.got.matchAll(/"event_id":"(.*?)"/g)].map((match) => match[1]).join('');
    return [events, window.streams.length, window.over];
  };
}
"""
"""A server that sends what a test says, and a client; the state is what the client has read, of how many streams."""


COUNT_FRAMES: Final = """
(() => {
  const request = window.requestAnimationFrame.bind(window);
  window.frames = 0;
  window.requestAnimationFrame = (step) => { window.frames += 1; return request(step); };
})()
"""

LATER_FRAMES: Final = """
async () => {
  const before = window.frames;
  await new Promise((resolve) => setTimeout(resolve, 200));
  return window.frames - before;
}
"""


@pytest.fixture(scope="module")
def page(app_url: str, browser: Browser, visitors: list[BrowserContext]) -> Iterator[Page]:
    """The app in a window that counts its frames and in which streams close late."""
    with profile(app_url, browser, visitors) as context:
        page = context.new_page()
        page.add_init_script(COUNT_FRAMES)
        page.add_init_script(CLOSE_LATE)
        page.goto(app_url)
        page.locator("#people .portrait").first.wait_for(state="attached")
        yield page


def test_a_page_draws_nothing_while_nothing_happens(page: Page):
    end = time.monotonic() + PATIENCE_MS / 1000
    while page.evaluate(LATER_FRAMES):
        assert time.monotonic() < end
    assert page.evaluate("window.frames") > 0


def test_an_event_sent_while_the_stream_closes_is_answered(page: Page):
    for persona in ("00000001", "00000002", "00000001"):
        page.locator("#people").get_by_role("button", name=tiny.PERSONAS[persona]["name"]).click()
        expect(page.locator("#persona h2")).to_have_text(tiny.PERSONAS[persona]["name"])
        expect(page.locator("#verdicts table")).to_be_visible()
    assert page.evaluate("window.late") >= 3


@pytest.fixture(scope="module")
def empty_page(browser: Browser) -> Iterator[Page]:
    with browser.new_context() as context:
        yield context.new_page()


@pytest.fixture
def client(empty_page: Page) -> Page:
    """A page of the script and a fake server, where event `a` has been sent and is waited for."""
    empty_page.goto("about:blank")
    empty_page.evaluate(FAKE)
    empty_page.evaluate(ANSWERS.read_text("utf-8"))
    assert does(empty_page, "await join('a'); return listen()") == "the server"
    return empty_page


def does(page: Page, steps: str) -> Any:
    return page.evaluate(f"async () => {{ {steps} }}")


def test_the_next_stream_is_asked_for_when_an_event_waits(client: Page):
    assert does(client, "streams[0].send(answer('a'), closing); streams[0].end(); return state()") == ["a", 1, ""]
    assert does(client, "await join('b'); return state()") == ["a", 2, ""]
    # It is sent while the server ends the stream, which the client learns later.
    assert does(client, "streams[1].send(answer('b')); await join('c'); return state()") == ["ab", 2, ""]
    assert does(client, "streams[1].send(closing); streams[1].end(); return state()") == ["ab", 3, ""]
    assert does(client, "streams[2].send(answer('c'), closing); streams[2].end(); return state()") == ["abc", 3, ""]
    assert "close_stream" not in does(client, "return got")


def test_an_event_may_be_answered_before_its_post_is(client: Page):
    assert does(
        client, "streams[0].send(answer('b'), answer('a')); await state(); await join('b'); return state()"
    ) == [
        "ba",
        1,
        "",
    ]
    assert does(client, "streams[0].send(closing); streams[0].end(); return state()") == ["ba", 1, ""]


def test_messages_come_in_any_parts_and_say_what_they_like(client: Page):
    does(
        client,
        """
        window.said = ': ping\\n\\ndata: {"msg":"log","log":"\\u00e5 close_stream","event_id":"a"}\\n\\n' + answer('a');
        for (const byte of new TextEncoder().encode(said + closing)) streams[0].bytes(new Uint8Array([byte]));
        await streams[0].end();
        """,
    )
    assert does(client, "return state()") == ["aa", 1, ""]
    assert does(client, "return got === said")


@pytest.mark.parametrize(
    ("steps", "over"),
    [
        ("client.abort()", "AbortError"),
        ("await reader.cancel()", "ended"),
        ("streams[0].send(answer('a'), closing); streams[0].end(); await state(); client.abort()", "ended"),
    ],
)
def test_a_client_that_hangs_up_leaves_nothing_open(client: Page, steps: str, over: str):
    assert does(client, f"{steps}; await state(); await join('b'); return state()")[1:] == [1, over]
    assert does(client, "return streams[0].aborted")
    assert does(client, "await listen(); streams[1].send(answer('b'), closing); streams[1].end(); return state()") == [
        "b",
        2,
        "",
    ]


@pytest.mark.parametrize(
    ("steps", "over"),
    [
        ("streams[0].fail(new TypeError('broken'))", "TypeError"),
        ("streams[0].end()", "ended"),
        ("refused = true; streams[0].send(closing); streams[0].end()", "Error"),
    ],
)
def test_what_goes_wrong_is_the_clients_to_say(client: Page, steps: str, over: str):
    assert does(client, f"{steps}; return state()") == ["", 1, over]
    assert does(client, "refused = true; return listen()") == 404
