"""The app on one port: pages, tiles and assets.

Streamlit runs this file in two ways. Its server imports it and finds `app`, which has our routes
beside its own; for each visit it runs it as a script, which names the pages and runs one.
"""

import streamlit as st

if __name__ == "__main__":
    from ui.frame import run_pages

    run_pages()
else:
    from ui import server

    app = st.App(
        __file__,
        routes=server.routes(),
        middleware=server.middleware(),
        lifespan=server.lifespan,
    )
