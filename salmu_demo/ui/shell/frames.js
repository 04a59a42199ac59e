// Nothing is drawn while nothing happens.
//
// The sign that Gradio shows while the page loads counts seconds, from frame to frame, and is taken away without being
// told to stop: it would go on, sixty times a second, for as long as the page is open. Here it gets no frame to begin
// with. The signs of events, which come with the page and stop when the event ends, get theirs.
(() => {
  const request = window.requestAnimationFrame.bind(window);
  window.requestAnimationFrame = (step) =>
    !document.getElementById('tabs') && String(step).includes('performance.now()') ? 0 : request(step);
})();
