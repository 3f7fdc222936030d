// The timer of the heartbeat. A worker's timers go on in a tab that is hidden, where the page's own are held back to one
// a second and, after a while, one a minute; the page itself sends the beat, so that a page that hangs has none.
"use strict";
onmessage = (asked) => setInterval(() => postMessage(0), asked.data);
