"""The chat page: ask an image, see the answer, take it away.

`conversation` knows what was asked and answered, and nothing of Gradio; `page` lays out and `handlers` connects; the
picture, the map, the table and the steps are drawn in the browser by ``static/*.js`` from what `scene_view` sends.
"""
