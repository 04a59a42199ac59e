// No answer is lost while Gradio's stream of answers closes.
//
// The page sends an event by a POST to `queue/join`, and reads the answers to all events from one stream, `queue/data`.
// After the last answer the server ends the stream with the message `close_stream`. If a new event's POST is answered
// just before the client reads that message, the client takes the stream for open, asks for no other, and closes it on
// the message: the new event's answer then comes only with that of some later event.
//
// Here the client gets one stream that does not close. It relays the server's streams one after another, and asks for
// the next when an event has been sent whose answer no stream has brought. In between there is no connection.
(() => {
  const fetch = window.fetch;
  const unanswered = new Set(); // Events, by their ids.
  const early = new Set(); // Events whose answer was read before that to their POST, which names them.
  let wake = () => {};

  const join = async (request) => {
    const response = await fetch(...request);
    const { event_id: event } = await response.clone().json().catch(() => ({}));
    if (event && !early.delete(event)) unanswered.add(event);
    wake();
    return response;
  };

  async function* relay(request, response) {
    for (;;) {
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let begun = '';
      let closed = false;
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        const messages = (begun + part.value).split('\n\n');
        begun = messages.pop();
        for (const message of messages) {
          const { msg, event_id: event } = message.startsWith('data: ') ? JSON.parse(message.slice(6)) : {};
          if (msg === 'process_completed' && !unanswered.delete(event)) early.add(event);
          if (msg === 'close_stream') closed = true;
          else yield `${message}\n\n`;
        }
      }
      while (closed && !unanswered.size && !request.signal.aborted) {
        await new Promise((resolve) => { wake = resolve; });
      }
      if (!closed || request.signal.aborted) return;
      response = await fetch(request);
      if (!response.ok) throw new Error(`The stream of answers cannot be opened again: ${response.status}`);
    }
  }

  const listen = async (request) => {
    const given = new Request(...request);
    const end = new AbortController();
    const stop = (reason) => {
      unanswered.clear();
      early.clear();
      end.abort(reason);
      wake();
    };
    if (given.signal.aborted) stop(given.signal.reason);
    given.signal.addEventListener('abort', () => stop(given.signal.reason));
    const own = new Request(given, { signal: end.signal });
    const response = await fetch(own);
    if (!response.ok) return response;
    const answers = relay(own, response);
    const encoder = new TextEncoder();
    const pull = async (controller) => {
      try {
        const { value, done } = await answers.next();
        if (done) controller.close();
        else controller.enqueue(encoder.encode(value));
      } catch (error) {
        stop(error);
        throw error;
      }
    };
    return new Response(new ReadableStream({ pull, cancel: stop }), response);
  };

  window.fetch = async (...request) => {
    const { pathname } = new URL(request[0].url ?? request[0], document.baseURI);
    if (pathname.endsWith('/queue/join')) return join(request);
    if (pathname.endsWith('/queue/data')) return listen(request);
    return fetch(...request);
  };
})();
