"""The server around the pages: `streamlit run app.py` serves `app`, which draws a page by running ui/shell.py as a script.

Where no server imports this file (AppTest, hosts that know no `st.App`) it is itself the script that draws the page.
"""

import streamlit as st

from ui import decoding, server, sheets, shell

if __name__ == "__main__":
    shell.show()
else:
    server.send_at_once()
    app = st.App(shell.__file__, lifespan=server.lifespan, routes=[sheets.route, *decoding.routes])
