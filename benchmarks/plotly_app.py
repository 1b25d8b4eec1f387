"""A server for `benchmarks.map`: the same points in Plotly's WebGL scatter. POINTS names a file of them."""

import os

import numpy as np
import plotly.graph_objects as go
import streamlit as st

with np.load(os.environ["POINTS"], allow_pickle=False) as points:
    places, labels = points["places"], points["labels"]
figure = go.Figure(
    go.Scattergl(x=places[:, 0], y=places[:, 1], mode="markers", marker=dict(size=3, color=labels))
)
figure.update_layout(height=600, dragmode="pan")
st.title("Plotly")
chosen = st.plotly_chart(figure, on_select="rerun", selection_mode="lasso", config={"scrollZoom": True})
st.write(f"chosen: {len(chosen['selection']['points'])}")
