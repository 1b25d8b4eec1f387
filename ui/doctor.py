"""What the doctor says of a run."""

from __future__ import annotations

import streamlit as st

from core import doctor
from core.store import Run
from ui import again, shell
from ui.words import as_written


def show(run: Run) -> None:
    """Every finding, from the history alone where the run was not examined; nothing while it is at work.

    Where what is advised is a setting, a link opens Train on it.
    """
    patient = doctor.patient(run)
    if patient.status == "running":
        return
    found = doctor.diagnose(patient)
    for one in found:
        st.warning(
            f"**{as_written(one.title)}.** {as_written(one.evidence)}  \n{as_written(one.advice)}",
            icon=":material/stethoscope:",
        )
        if one.remedy and (address := again.address(run, one.remedy)):
            shell.set_up("build/train.py", "Set up such a training", ":material/tune:", address)
    if not found:
        looked = "its scores and its history" if patient.report else "its history alone"
        st.caption(f":material/stethoscope: Nothing is wrong with this run that shows in {looked}.")
