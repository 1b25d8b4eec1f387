"""Components of our own (Streamlit's components v2): one .py, .js and .css each."""
