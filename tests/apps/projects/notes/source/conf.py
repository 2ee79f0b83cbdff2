project = "Notes"
extensions = []
html_theme = "basic"
