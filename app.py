"""The app on one port: pages, tiles and assets.

Streamlit runs this file in two ways. Its server imports it and finds `app`, which adds our routes;
for each visit it runs it as a script, which names the pages and runs the chosen one.
"""

import streamlit as st

if __name__ == "__main__":
    from ui.frame import run_pages

    run_pages()
else:
    from ui.server import make_app

    app: st.App = make_app(__file__)
