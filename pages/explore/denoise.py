"""Denoise: photographs at their own size, in the format they came in."""

from __future__ import annotations

import streamlit as st

from ui.choices import choice
from ui.denoise import models, noisy, pictures, trial

NOISY, CLEAN = "My picture is already noisy", "Test on a clean picture"


def main() -> None:
    st.title("Clean a noisy picture")
    st.markdown(
        "Bring photographs at their own size and take them away without their noise; or spoil a clean one and see which method "
        "brings it back."
    )
    found = models.found()
    if found is None:
        return
    purpose = CLEAN
    if found.restorers:
        purpose = choice("Purpose", (NOISY, CLEAN), NOISY, key="purpose", label_visibility="collapsed")
    else:
        models.say_how_to_come_by_one()
    with st.container():  # else what is below would change places with the source
        chosen = pictures.pick(purpose == NOISY)
    if not chosen:
        noisy.put_away()
        st.info("Choose a picture.", icon=":material/touch_app:")
        return
    # a place for each: else what one has shown would linger while the other works
    places = {one: st.container() if one == purpose else st.empty() for one in (NOISY, CLEAN)}
    with places[purpose]:
        if purpose == NOISY:
            noisy.show(found, chosen)
        else:
            trial.show(found, noisy.one_of(chosen))


main()
