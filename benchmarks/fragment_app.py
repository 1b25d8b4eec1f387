"""A server for `benchmarks.responsiveness`: one fragment and a component that asks again as soon as it is answered.

The environment says how often (TRIPS) and which of "freeze" and "nodelay" of ui/server.py to leave out (WITHOUT).
"""

import os
import threading

import streamlit as st

from ui import server

WITHOUT = os.environ.get("WITHOUT", "").split(",")
TRIPS = int(os.environ.get("TRIPS", "60"))

LOOP = """
export default function ({ data, setStateValue }) {
    const trips = (window.trips ??= []);
    if (window.sent) trips.push(performance.now() - window.sent);
    if (trips.length === data.trips) return;
    window.sent = performance.now();
    setStateValue("count", data.count + 1);
}
"""


def show() -> None:
    server.page_drawn.set()
    for thread in threading.enumerate():
        if thread.name == server.WARM_UP:
            thread.join()
    st.title("Round trips")
    fragment()


@st.fragment
def fragment() -> None:
    count = st.session_state.get("loop", {}).get("count", 0)
    loop = st.components.v2.component("loop", js=LOOP)
    loop(key="loop", data={"count": count, "trips": TRIPS}, on_count_change=lambda: None)


def leave_garbage_alone() -> None:
    pass


if __name__ == "__main__":
    show()
else:
    if "nodelay" not in WITHOUT:
        server.send_at_once()
    if "freeze" in WITHOUT:
        server.freeze = leave_garbage_alone
    app = st.App(__file__, lifespan=server.lifespan)
